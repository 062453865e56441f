"""The Unexpired server: issues, verifies, refreshes and revokes the tokens of a session."""
