"""``python -m server``: the package's command line, with the demo's application."""

from __future__ import annotations

from server.app import create_app
from unexpired_server.cli import main

main(obj=create_app)
