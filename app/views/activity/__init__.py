"""The Activity view: a live timeline of tokens, requests and refreshes, and experiments."""
