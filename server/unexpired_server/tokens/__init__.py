"""Access tokens and the keys that sign them (RFC 7515, 7517, 7519 and 9068)."""
