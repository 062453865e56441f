"""How the tables came to be, step by step; migrate.py walks the steps."""
