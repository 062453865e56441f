"""What every page of the site has: a description, and signatures without noise."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DESCRIPTION_LENGTH = 160  # About what search engines show.

IN_TABLES = {"unexpired.Options", "unexpired.Dialect", "unexpired.oidc.Provider"}
"""Classes whose attributes an ``attributes-table`` shows; their docstrings need not repeat them."""

NOISE = "<factory>"  # What `inspect` shows for a default that is made for each object.


def described(
    app: Sphinx,  # noqa: ARG001 - Sphinx gives it.
    pagename: str,  # noqa: ARG001
    templatename: str,  # noqa: ARG001
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Give a page its first paragraph as its description, for search engines and previews."""
    if doctree is None:
        return
    first = next(iter(doctree.findall(nodes.paragraph)), None)
    if first is not None:
        text = escape(_shortened(" ".join(first.astext().split())), quote=True)
        context["metatags"] = (
            f'{context.get("metatags", "")}<meta name="description" content="{text}">'
        )


def _shortened(text: str) -> str:
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    return text[:DESCRIPTION_LENGTH].rpartition(" ")[0].rstrip(",;:.") + " …"


def without_noise(  # noqa: PLR0913, PLR0917 - Sphinx gives them.
    app: Sphinx,  # noqa: ARG001
    what: str,  # noqa: ARG001
    name: str,  # noqa: ARG001
    obj: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
    signature: str | None,
    return_annotation: str | None,
) -> tuple[str | None, str | None]:
    """Return a signature with defaults as a reader would write them."""
    return signature and signature.replace(NOISE, "{}"), return_annotation


def without_attributes(  # noqa: PLR0913, PLR0917 - Sphinx gives them.
    app: Sphinx,  # noqa: ARG001
    what: str,  # noqa: ARG001
    name: str,
    obj: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
    lines: list[str],
) -> None:
    """Drop the attributes that a table shows already."""
    if name in IN_TABLES and "Attributes:" in lines:
        start = lines.index("Attributes:")
        end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith(" "))
        del lines[start:end]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it with Sphinx."""
    app.connect("html-page-context", described)
    app.connect("autodoc-process-signature", without_noise)
    app.connect("autodoc-process-docstring", without_attributes, priority=400)  # Before napoleon.
    return {"parallel_read_safe": True}
