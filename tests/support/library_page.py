"""The page of the tests that has the whole library, and runs Python for them."""

import mimetypes
from pathlib import Path

from tests.support.paths import ROOT

FOLDER = ROOT / "tests" / "e2e" / "library"
SETTINGS = "library.toml"
LIBRARY = ROOT / "app" / "unexpired"
PROVIDER_MODULES = (
    *sorted(LIBRARY.glob("oidc/*.py")),
    *(LIBRARY / "browser" / "sign_in_place.py", LIBRARY / "browser" / "windows.py"),
)
"""What signs in at a provider, which the demo's page does not load."""


def settings() -> str:
    """Return the settings of the demo's page, with the whole library."""
    files = (f"./{path.relative_to(ROOT)}" for path in PROVIDER_MODULES)
    added = "".join(f'"{file}" = "{file.replace("/app", "", 1)}"\n' for file in files)
    return (ROOT / "pyscript.toml").read_text().replace("[files]\n", f"[files]\n{added}")


def served(path: str) -> tuple[bytes, str]:
    """Return one of the page's files and its type.

    Args:
        path: What a browser asks for, such as ``/library.html``.
    """
    name = Path(path).name
    content = settings().encode() if name == SETTINGS else (FOLDER / name).read_bytes()
    return content, mimetypes.guess_type(name)[0] or "application/octet-stream"
