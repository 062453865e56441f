// Runs the story in Node.js: node node.mjs <function> <folder of Pyodide> <address> <wheel> ...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// As in Deno, which has the name but no address.
Object.defineProperty(globalThis, "location", { get: () => undefined });

async function run([name, folder, api, ...wheels]) {
  const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
  const python = await loadPyodide();
  for (const wheel of wheels) python.unpackArchive(new Uint8Array(readFileSync(wheel)), "wheel");
  python.runPython(readFileSync(new URL("story.py", import.meta.url), "utf-8"));
  return python.globals.get(name)(api);
}

// Node.js would show the line of an error, and Pyodide's are long.
await run(process.argv.slice(2)).then(console.log, (error) => console.log(`failed: ${error}`));
process.exit();
