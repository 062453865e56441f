"""The demo's server inside a page: for a live demo on a static host, without any server.

A worker of the page's runs the application on Pyodide (``server_worker.mjs``), and a Service Worker
answers what the page asks of its API by that worker (``service_worker.js``). Page and library are
those of every other server. ``tools/build_demo_site.py`` builds it.
"""
