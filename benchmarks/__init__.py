"""Measures what the server is built for, beside what others use: see README.md."""
