"""``python -m unexpired_kit``: the command line, without the installed script."""

from __future__ import annotations

from unexpired_kit.cli import main

main()
