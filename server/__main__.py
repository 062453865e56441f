"""`python -m server`: the package's command line, serving the demo's application."""

from server.app import create_app
from unexpired_server.cli import main

main(obj=create_app)
