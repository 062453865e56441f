# Pyodide: Python compiled to WebAssembly.
