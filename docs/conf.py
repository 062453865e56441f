"""Configure Sphinx: Markdown pages, docstrings, and tables generated from the code."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), *(str(DOCS.parent / folder) for folder in ("", "app", "server"))]

project = "Unexpired"
version = release = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"][
    "version"
]
project_copyright = "the authors of Unexpired, MIT licensed"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "pages",
    "tables",
]
exclude_patterns = ["screenshots"]

html_theme = "furo"
html_theme_options = {
    "source_repository": "https://github.com/unexpired/unexpired/",
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": ["view", "edit"],
}
html_title = f"Unexpired {release}"
html_short_title = "Unexpired"
html_last_updated_fmt = None  # Two builds of the same files are equal.
html_static_path = ["pictures", "styles"]
html_css_files = ["narrow.css"]
html_copy_source = False
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_mock_imports = ["js", "pyodide", "pyscript"]  # These exist only in a browser.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
# Names of other libraries are not documented here; every name of ours must be.
nitpick_ignore_regex = [
    ("py:.*", r"(?!unexpired\b).*"),
    ("py:class", r"unexpired\.base_client\.Response_co"),  # A type variable, not a class.
    ("py:class", r"unexpired\.body_parts\.PartedBody"),  # What our own forms make.
]
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
