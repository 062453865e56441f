"""Benchmarks in browsers: loading the page, and the cost of a call."""
