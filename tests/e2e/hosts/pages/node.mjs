// Runs the story in Node.js: node node.mjs <folder of Pyodide> <address of the API> <wheel> ...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, api, story, ...wheels] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const python = await loadPyodide();
for (const wheel of wheels) python.unpackArchive(readFileSync(wheel), "wheel");
python.runPython(readFileSync(story, "utf-8"));
console.log(await python.globals.get("story")(api));
process.exit();
