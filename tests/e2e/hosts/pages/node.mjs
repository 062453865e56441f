// Runs the story in Node.js: node node.mjs <folder of Pyodide> <address of the API> <wheel> ...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

async function run([folder, api, story, ...wheels]) {
  const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
  const python = await loadPyodide();
  for (const wheel of wheels) python.unpackArchive(new Uint8Array(readFileSync(wheel)), "wheel");
  python.runPython(readFileSync(story, "utf-8"));
  return python.globals.get("story")(api);
}

// Node.js would show the line of an error, and Pyodide's are long.
await run(process.argv.slice(2)).then(console.log, (error) => console.log(`failed: ${error}`));
process.exit();
