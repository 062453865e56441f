"""`python -m unexpired_server`."""

from unexpired_server.cli import main

main()
