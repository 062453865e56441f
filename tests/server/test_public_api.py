"""The package's public names: all there, imported on first use, and its one version."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import unexpired_server
from tests.support.server_process import clean_environment

SERVER = Path(unexpired_server.__file__).parent.parent


def run(program: str) -> str:
    """Run a program in a fresh interpreter."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_exists_and_type_checkers_see_the_same_ones() -> None:
    public = set(unexpired_server.__all__)
    assert sorted(public) == sorted(unexpired_server.__all__)
    assert all(getattr(unexpired_server, name) is not None for name in public)
    assert public <= set(dir(unexpired_server))
    tree = ast.parse(Path(unexpired_server.__file__).read_text())
    (typed,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    imported = {
        (node.module, alias.name)
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    lazy = {(f"unexpired_server.{m}", name) for name, m in unexpired_server._MODULE_OF.items()}  # noqa: SLF001
    assert imported == lazy
    assert {name for _, name in lazy} == public - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        unexpired_server.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = run("import sys, unexpired_server; print(*sys.modules)").split()
    ours = {name for name in loaded if name.startswith("unexpired_server")}
    assert ours == {"unexpired_server"}
    assert not {"sqlalchemy", "starlette", "pydantic", "jwt"} & set(loaded)


def test_verifying_tokens_of_another_service_needs_neither_database_nor_web_framework() -> None:
    run(
        "import sys\n"
        "for name in ('sqlalchemy', 'starlette', 'uvicorn', 'argon2', 'alembic'):\n"
        "    sys.modules[name] = None\n"
        "from unexpired_server import Claims, IntrospectionVerifier, JWKSVerifier, TokenExpired\n"
        "JWKSVerifier('https://sign-in.example/.well-known/jwks.json')\n"
        "IntrospectionVerifier('https://a', client_id='a', client_secret='b', audience='c')\n"
    )


def test_the_version_is_the_one_that_is_published() -> None:
    project = tomllib.loads((SERVER / "pyproject.toml").read_text())["project"]
    assert unexpired_server.__version__ == project["version"]
