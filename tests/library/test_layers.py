"""The layers of the library: each module imports only from the layers below its own."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import unexpired

LIBRARY = Path(unexpired.__file__).parent
LAYERS = (
    "__init__",
    "sync_client",
    "async_client",
    "adapters browser desktop",
    "worker_messages",
    "base_client",
    "oidc",
    "session_manager",
    "policy",
    "path_server",
    "hints",
    "cookie_store options session",
    "token_server",
    "effects",
    "dialect session_record",
    "call_log content event_stream ports",
    "streams token_response",
    "proofs",
    "challenges errors forms sign_in_redirect",
    "messages",
    "backoff body_parts claims decoders events origins secret_strength timers",
    "outside_text",
)
LEVEL = {room: level for level, layer in enumerate(reversed(LAYERS)) for room in layer.split()}
PARSERS = {"json.loads", "json.load", "jsonlib.loads", "ast.literal_eval", "JSON.parse"}
JAVASCRIPT = {"js", "pyodide", "pyodide_http", "pyscript"}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere, in functions and for types as well."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    whole = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return whole | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def room(module: str) -> str:
    """Return the part of the library that a module belongs to."""
    return f"{module}.__init__".split(".")[1]


MODULES = {
    ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    ): imports(path)
    for path in LIBRARY.rglob("*.py")
}
OURS = {
    module: {name for name in names if name.split(".")[0] == "unexpired"}
    for module, names in MODULES.items()
}


def test_every_module_has_a_layer() -> None:
    assert {room(module) for module in MODULES} == set(LEVEL)


def test_a_module_imports_only_from_the_layers_below_or_from_its_own_folder() -> None:
    upward = {
        (module, name)
        for module, names in OURS.items()
        for name in names
        if LEVEL[room(name)] >= LEVEL[room(module)]
        and not name.startswith(f"unexpired.{room(module)}.")
    }
    assert upward == set()


def test_no_module_imports_itself_through_others() -> None:
    list(TopologicalSorter(OURS).static_order())  # Raises CycleError.


def test_only_the_browser_folder_speaks_javascript() -> None:
    speakers = {
        room(module)
        for module, names in MODULES.items()
        if JAVASCRIPT & {name.split(".")[0] for name in names}
    }
    assert speakers == {"browser"}


def test_only_one_module_parses_json_from_outside() -> None:
    """Python's parser recurses; ``outside_text`` measures the nesting first."""
    parsers = {
        f"{path.relative_to(LIBRARY.parent)}: {ast.unparse(node)}"
        for folder in (LIBRARY, LIBRARY.parent / "views")
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in PARSERS
    }
    assert parsers == {"unexpired/outside_text.py: json.loads"}
