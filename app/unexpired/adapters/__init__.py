"""Adapters for other HTTP libraries; each module needs only its own library."""
