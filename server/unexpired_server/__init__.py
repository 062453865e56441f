"""The Unexpired server: issues, verifies, refreshes and revokes the tokens of a session."""

__version__ = "0.1.0"
