"""The layers of the page: ``ui`` is at the bottom, the rooms are above it, ``main`` is on top."""

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

APP = Path(__file__).resolve().parents[2] / "app"
LAYERS = [
    {"ui"},
    {
        *("accounts", "activity", "devices", "notes", "router"),
        *("secret_key", "session_banner", "session_status", "sign_in", "sign_out"),
    },
    {"main"},
]


def _name(path: Path) -> str:
    parts = path.relative_to(APP).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _graph() -> dict[str, set[str]]:
    """Return the modules of the page, each with the modules that it imports."""
    paths = [APP / "main.py", *(APP / "views").rglob("*.py")]
    graph = {_name(path): set[str]() for path in paths}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                graph[_name(path)] |= names & graph.keys()
    return graph


def _room(module: str) -> str:
    """Return the room of a module: "notes" for ``views.notes.outbox``."""
    return module.removeprefix("views.").partition(".")[0]


def _rooms() -> dict[str, set[str]]:
    """Return the rooms, each with the other rooms that it imports."""
    rooms: defaultdict[str, set[str]] = defaultdict(set)
    for module, imported in _graph().items():
        if module != "views":
            rooms[_room(module)] |= {_room(name) for name in imported} - {_room(module)}
    return dict(rooms)


def test_no_modules_import_each_other() -> None:
    """The modules have an order in which each imports only earlier ones."""
    TopologicalSorter(_graph()).prepare()


def test_each_room_imports_only_lower_layers() -> None:
    """A room uses ``ui`` and none of its neighbours; every room is in a layer."""
    assert _rooms().keys() == set().union(*LAYERS)
    for height, layer in enumerate(LAYERS):
        below: set[str] = set().union(*LAYERS[:height])
        assert [room for room in layer if _rooms()[room] - below] == []
