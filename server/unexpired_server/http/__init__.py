"""The HTTP side: requests in, JSON responses out."""
