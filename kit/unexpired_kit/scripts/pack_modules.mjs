// Pack Python modules into one archive, compiled by the Python that will import them, and the files
// beside them. Packages that are named lose their docstrings and assertions.
//
// Usage: node pack_modules.mjs <folder of Pyodide> <folder of the modules> <archive> [<package> ...]
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import "./say_why.mjs";

const [pyodide, modules, archive] = process.argv.slice(2, 5).map((path) => resolve(path));
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
// Columns are of use only beside the source, which is not in the archive; lines are kept.
const env = { PYTHONNODEBUGRANGES: "1", BARE: process.argv.slice(5).join(" ") };
const python = await loadPyodide({ indexURL: pyodide, env });
python.mountNodeFS("/modules", modules);
python.runPython(readFileSync(new URL("pack_modules.py", import.meta.url), "utf8"));
writeFileSync(archive, python.FS.readFile("/modules.zip"));
