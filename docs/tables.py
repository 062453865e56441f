"""Tables that are generated from the code at each build, so they are always up to date.

``settings-list``  the server's settings, from the typed class and its docstrings
``calls-table``    the calls of the HTTP API, from the operations of ``/openapi.json``
``codes-table``    the codes of the HTTP API, from the error classes
``commands-table`` the server's commands, from its command line
``attributes-table`` the attributes of a dataclass, from its fields and its docstring
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import click
from docutils import nodes
from sphinx import addnodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from server.notes_routes import OPERATIONS as NOTES_OPERATIONS
from unexpired.dialect import Dialect
from unexpired_server.cli import main
from unexpired_server.errors import Failure
from unexpired_server.http.openapi import Operation
from unexpired_server.http.routes import system
from unexpired_server.service import OPERATIONS
from unexpired_server.settings import DAY, Settings

if TYPE_CHECKING:
    from sphinx.application import Sphinx

Row = tuple[str, ...]


class Table(SphinxDirective):
    """A table with rows from the code."""

    head: ClassVar[Row]

    def rows(self) -> Iterable[Row]:
        """Return the rows, in Markdown."""
        raise NotImplementedError

    def run(self) -> list[Any]:
        """Return the table's nodes, by way of Markdown."""
        ruler = ("---",) * len(self.head)
        lines = (f"| {' | '.join(row)} |" for row in (self.head, ruler, *self.rows()))
        return self.parse_text_to_nodes("\n".join(lines))


class SettingsList(SphinxDirective):
    """Every setting of the server, in the order of the class.

    Each is found by its bare name: in the index, in the search, and as ``#setting-<name>``.
    """

    def run(self) -> list[Any]:
        """Return the nodes of a definition list, by way of Markdown."""
        documented = ModuleAnalyzer.for_module("unexpired_server.settings").find_attr_docs()
        entries = (
            f"`UNEXPIRED_{name.upper()}` (`{name}`), {_formatted(field.default)}\n"
            f": {' '.join(documented['Settings', name]).strip()}\n"
            for name, field in Settings.model_fields.items()
        )
        parsed = self.parse_text_to_nodes("\n".join(entries))
        terms = (term for node in parsed for term in node.findall(nodes.term))
        for name, term in zip(Settings.model_fields, terms, strict=True):
            self._can_be_found(name, term)
        return parsed

    def _can_be_found(self, name: str, term: nodes.term) -> None:
        anchor = f"setting-{name}"
        term["ids"], term["names"] = [anchor], [anchor]
        self.state.document.note_explicit_target(term)
        names = (name, f"UNEXPIRED_{name.upper()}")
        entries = [("single", f"{one} (setting)", anchor, "main", None) for one in names]
        term.insert(0, addnodes.index(entries=entries))


class AttributesTable(SphinxDirective):
    """The attributes of a dataclass, with their defaults and what its docstring says of them."""

    required_arguments = 1

    def run(self) -> list[Any]:
        """Return the table's nodes, by way of Markdown."""
        module, _, name = self.arguments[0].rpartition(".")
        kind = getattr(import_module(module), name)
        meanings = _attributes(kind)
        shown = (field for field in fields(kind) if field.name in meanings)
        rows = (f"| `{one.name}` | {_default(one)} | {meanings[one.name]} |" for one in shown)
        return self.parse_text_to_nodes("\n".join(("| | default | |", "|---|---|---|", *rows)))


def _attributes(kind: type) -> dict[str, str]:
    """Return what the section ``Attributes:`` of a docstring says, by name."""
    section = (
        inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    )
    entries = re.split(r"^ {4}(?=\w)", section, flags=re.MULTILINE)[1:]
    named = (entry.partition(": ") for entry in entries)
    return {name: re.sub("`+", "`", " ".join(text.split())) for name, _, text in named}


def _default(field: Field[Any]) -> str:
    if field.default is MISSING:
        return "`Dialect()`" if field.default_factory is Dialect else "none"
    value = field.default
    if isinstance(value, frozenset):
        return ", ".join(f"`{one}`" for one in sorted(value)) or "none"
    return "none" if value in ("", (), None) else f"`{value}`"


def _formatted(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, float):
        return f"`{value:.0f}`" if value % DAY else f"`{value:.0f}` ({value / DAY:.0f} days)"
    return f"`{value}`"


class CallsTable(Table):
    """Every call of the API."""

    head = ("call", "", "success", "failures")

    def rows(self) -> Iterator[Row]:
        """Return a row for each operation."""
        for one in (*OPERATIONS, *NOTES_OPERATIONS, *system.OPERATIONS):
            body = _fields(one)
            call = f"`{one.method.upper()} {one.path}`{f' `{body}`' if body else ''}"
            codes = ", ".join(f"`{failure.code}`" for failure in one.failures)
            yield call, one.summary, f"{one.status} {_shows(one)}", codes


def _fields(one: Operation) -> str:
    if one.request is None:
        return ""
    properties = one.request.model_json_schema(by_alias=True)["properties"]
    return f"{{{', '.join(properties)}}}"


def _shows(one: Operation) -> str:
    if one.response is None:
        return ""
    properties = one.response.model_json_schema(by_alias=True)["properties"]
    return f"`{{{', '.join(properties)}}}`"


class CodesTable(Table):
    """Every code of the API."""

    head = ("code", "status", "meaning", "sentence")

    def rows(self) -> Iterator[Row]:
        """Return a row for each error, ordered by status."""
        for kind in sorted(_leaves(Failure), key=lambda kind: kind.status):
            meaning = (kind.__doc__ or "").split("\n\n")[0]
            yield f"`{kind.code}`", str(kind.status), meaning, kind.message


def _leaves(kind: type[Failure]) -> Iterator[type[Failure]]:
    children = kind.__subclasses__()
    for child in children:
        yield from _leaves(child)
    if not children:
        yield kind


class CommandsTable(Table):
    """Every command of ``unexpired-server``."""

    head = ("command", "")

    def rows(self) -> Iterator[Row]:
        """Return a row for each command, in the order of the command line."""
        for words, command in _commands(main):
            pieces = command.collect_usage_pieces(click.Context(command))
            arguments = (piece for piece in pieces if piece != "[OPTIONS]")
            yield f"`{' '.join((*words, *arguments))}`", " ".join((command.help or "").split())


def _commands(group: click.Group, *words: str) -> Iterator[tuple[Row, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *words, name)
        else:
            yield (*words, name), command


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the tables with Sphinx."""
    app.add_directive("settings-list", SettingsList)
    app.add_directive("calls-table", CallsTable)
    app.add_directive("codes-table", CodesTable)
    app.add_directive("commands-table", CommandsTable)
    app.add_directive("attributes-table", AttributesTable)
    return {"parallel_read_safe": True}
