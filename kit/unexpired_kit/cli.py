"""The command line, ``unexpired``."""

from __future__ import annotations

from pathlib import Path

import click

from unexpired_kit import __version__
from unexpired_kit.errors import KitError
from unexpired_kit.new import new_project
from unexpired_kit.serving import serve as serve_project
from unexpired_kit.site import build as build_site
from unexpired_kit.site import checked_api


class _Problem(click.ClickException):
    """One sentence for people, and the exit code of a wrong invocation."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Make pages that run Python and stay signed in, and build them to start fast."""


@main.command()
@click.argument("name")
def new(name: str) -> None:
    """Make the folder NAME with a page, its server, and tests of both."""
    try:
        folder = new_project(Path(), name)
    except KitError as exc:
        raise _Problem(str(exc)) from None
    click.echo(f"{folder}/ holds a page, its server, and tests of both. Now:")
    click.echo(f"  cd {folder}\n  unexpired serve --demo")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def serve(options: tuple[str, ...]) -> None:
    """Serve the project in this folder; build its page where it has changed.

    It takes the OPTIONS of ``unexpired-server serve``, such as --demo for a user demo / demo and
    tokens of 20 seconds, or --port 9000.
    """
    try:
        serve_project(Path(), options, click.echo)
    except KitError as exc:
        raise _Problem(str(exc)) from None


@main.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path()
)
@click.option("--out", type=click.Path(path_type=Path), help="The folder to build.  [FOLDER/dist]")
@click.option("--api", default="", help="The API's origin; empty for the page's own.")
def build(folder: Path, out: Path | None, api: str) -> None:
    """Build the page in FOLDER for any static host."""
    target = out or folder / "dist"
    try:
        build_site(folder, target, checked_api(api))
    except KitError as exc:
        raise _Problem(str(exc)) from None
    click.echo(f"{target}/ holds the page, for an API at {api or 'the same origin'}.")
