"""``python -m unexpired_server``."""

from __future__ import annotations

from unexpired_server.cli import main

main()
