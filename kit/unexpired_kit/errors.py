"""What the tools refuse to do."""

from __future__ import annotations


class KitError(ValueError):
    """A sentence for people that says what stands in the way."""
