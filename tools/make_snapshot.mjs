// Make the snapshot that app/load_pyodide.mjs wakes Python from: its memory after a start, with what the
// page imports already imported. No JavaScript object may be alive in it, so the modules that ask
// for the page's own are left for the page.
//
// Usage: node tools/make_snapshot.mjs <folder of Pyodide and the archives> [<module> ...]
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const SITE = "/lib/archives"; // Imported from as they are, unpacked nowhere.
const IMPORTS = `
abc asyncio base64 binascii collections.abc contextlib dataclasses email.utils enum functools html
itertools json logging math random re secrets threading time typing urllib.parse uuid jwt
`;

// Whether Python may switch stacks is settled when it starts. Every browser that cannot says so again
// before it is asked, but one that can would be held to what this Node says; nothing switches here.
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
