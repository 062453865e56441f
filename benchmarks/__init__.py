"""Benchmarks of the server against others: see README.md."""
