// Make the memory snapshot from which load_pyodide.mjs starts Python: the memory after a start,
// with the page's imports preloaded. It must not contain JavaScript objects, so modules that import
// the page's own are left for the page.
//
// Usage: node make_snapshot.mjs <folder of Pyodide and the archives> [<module> ...]
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const SITE = "/lib/archives"; // Python imports from the archives without unpacking them.
const IMPORTS = `
abc asyncio base64 binascii collections.abc contextlib dataclasses email.utils enum functools html
itertools json logging math random re secrets threading time typing urllib.parse uuid
`;

// Python decides at its start whether it can switch stacks (JSPI), and the snapshot keeps the answer.
// A browser without JSPI overrides it, but a browser with JSPI would be bound to this Node's "no". So
// the two functions are faked; nothing switches stacks here.
WebAssembly.Suspending ??= class {
  constructor(called) {
    return called;
  }
};
WebAssembly.promising ??= (called) => called;

const [given, ...modules] = process.argv.slice(2);
const folder = resolve(given);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const python = await loadPyodide({ indexURL: folder, _makeSnapshot: true });
const names = readdirSync(folder).filter((name) => name.endsWith(".whl") || name === "app.zip");
const paths = names.map((name) => `${SITE}/${name}`);
python.FS.mkdir(SITE);
for (const name of names) python.FS.writeFile(`${SITE}/${name}`, readFileSync(`${folder}/${name}`));
python.runPython(`
import sys
sys.path += ${JSON.stringify(paths)}
for name in """${IMPORTS} ${modules.join(" ")}""".split():
    __import__(name)
del name
`);
writeFileSync(`${folder}/snapshot.gz`, gzipSync(python.makeMemorySnapshot(), { level: 9 }));
writeFileSync(`${folder}/archives.json`, JSON.stringify(paths));
