"""Tools for pages that run Python: a new project in one command, and builds that start fast."""

from __future__ import annotations

__version__ = "0.1.0"
