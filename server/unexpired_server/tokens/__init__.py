"""Signed tokens: access tokens (RFC 9068), the keys that sign them, and their encodings."""
