"""The floors of the package: no import runs up, and none runs in a circle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import unexpired_server

PACKAGE = Path(unexpired_server.__file__).parent
FLOORS = (
    {"scopes"},
    {"errors", "settings"},
    {"extras"},
    {"tokens", "storage", "ops"},
    {"sessions"},
    {"http"},
    {"service"},
    {"auth"},
    {"app"},
    {"cli"},
    {"__main__", "__init__"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(file): file for file in PACKAGE.rglob("*.py")}


def imports(file: Path) -> Iterator[str]:
    """The package's modules that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unexpired_server"):
            module = (node.module or "").removeprefix("unexpired_server").lstrip(".")
            within = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
            yield from (name if name in MODULES else module or "__init__" for name in within)


def test_no_module_imports_from_a_floor_above_or_beside_its_own_room() -> None:
    assert {name.partition(".")[0] for name in MODULES} == set(FLOOR)
    upward = [
        (name, imported)
        for name, file in MODULES.items()
        for imported in imports(file)
        if (here := name.partition(".")[0]) != (there := imported.partition(".")[0])
        and FLOOR[there] >= FLOOR[here]
    ]
    assert upward == []


def test_no_imports_run_in_a_circle() -> None:
    graph = {name: set(imports(file)) for name, file in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_the_demo_uses_only_the_public_names() -> None:
    demo = [file for file in PACKAGE.parent.glob("*.py") if file.name != "__main__.py"]
    names = {
        (node.module, alias.name)
        for file in demo
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unexpired_server")
        for alias in node.names
    }
    assert names
    assert {module for module, _ in names} == {"unexpired_server"}
    assert {name for _, name in names} <= set(unexpired_server.__all__)
