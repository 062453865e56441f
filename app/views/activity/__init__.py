"""The Activity view: a live picture of tokens, requests and refreshes."""
