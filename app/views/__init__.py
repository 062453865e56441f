"""The page's views: each room shows one part of the page and calls the client.

``ui`` is below all rooms. No other room imports one of its neighbours; only ``main`` knows all.
"""
