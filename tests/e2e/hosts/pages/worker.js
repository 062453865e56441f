// A classic worker, as Python for the browser was started before Pyodide had modules.
importScripts("pyodide/pyodide.js");
import("./host.mjs").then(async ({ tell }) => postMessage(await tell(loadPyodide)));
