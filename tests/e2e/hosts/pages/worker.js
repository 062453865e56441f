// A classic worker with Pyodide 0.29: its Python is 3.13, and has no ssl.
importScripts("pyodide-0.29/pyodide.js");
import("./host.mjs").then(async ({ tell }) => postMessage(await tell(loadPyodide, "pyodide-0.29/")));
