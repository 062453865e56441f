"""Comparisons in real browsers: how the page loads, and what a call costs."""
