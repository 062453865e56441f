// Runs the Python that a test sends, in a worker with plain Pyodide, as notebooks have it.
import { loadPyodide } from "/vendor/pyodide/pyodide.mjs";

const send = postMessage; // Python's host has the name, too.
const pyodide = loadPyodide({ indexURL: "/vendor/pyodide/" });

async function load(python, modules) {
  for (const module of modules) {
    const response = await fetch(`/app/${module}`);
    python.FS.mkdirTree(`/library/${module.slice(0, module.lastIndexOf("/"))}`);
    python.FS.writeFile(`/library/${module}`, await response.text());
  }
  python.runPython("import sys; sys.path.append('/library')");
}

globalThis.onmessage = async ({ data: { modules, source } }) => {
  const python = await pyodide;
  await load(python, modules);
  send({ result: await python.runPythonAsync(source) });
};
