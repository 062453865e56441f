"""Configure Sphinx: Markdown pages, docstrings, and tables generated from the code."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), *(str(DOCS.parent / folder) for folder in ("", "app", "server"))]

project = "Unexpired"
release = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]["version"]
project_copyright = "the authors of Unexpired, MIT licensed"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "tables",
]
exclude_patterns = ["screenshots"]

html_theme = "furo"
html_title = "Unexpired"
html_static_path = ["pictures"]
html_copy_source = False
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_mock_imports = ["js", "pyodide", "pyscript"]  # These exist only in a browser.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
# Names of other libraries are not documented here; every name of ours must be.
nitpick_ignore_regex = [("py:.*", r"(?!unexpired\b).*")]
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
