// Make the memory snapshot from which load_pyodide.mjs starts Python: the memory after a start,
// with the page's imports preloaded. Of JavaScript's objects it can keep those that have a name in
// every browser (BROWSER): at the start they are looked up by it. A module that imports another one
// from `js` must be left for the page. PyScript's own modules read the page's settings when they are
// imported, so of them the compiled code is kept; a worker's runtime has none beside it.
//
// The snapshot.gz is, in little-endian numbers of 32 bits: the bytes of Pyodide's head of a snapshot,
// the pages of the memory, and a sum of the pages left out; then that head, a bit for each page, and
// the pages whose bit is set. Left out is what the WebAssembly itself makes: zeros, constants of C.
//
// Usage: node make_snapshot.mjs <folder of Pyodide and the archives> [<module> ...]
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { PAGE_BYTES, pageOf, sumOf } from "../browser/memory_pages.mjs";
import "./say_why.mjs";

const NOTHING = new Uint8Array(PAGE_BYTES);
const LARGEST_BLOCK = 256 * 1024;
const SMALLEST_BLOCK = 16;
const SITE = "/lib/archives"; // Python imports from the archives without unpacking them.
const IMPORTS = `
abc asyncio base64 binascii collections.abc contextlib dataclasses email.utils enum functools html
inspect itertools json logging math pathlib random re secrets threading time typing urllib.parse uuid
`;

// What modules may import from `js`. Pyodide keeps of each whether it can be called, has a length and
// so on, so those that Node.js has not are made with just that.
const sized = { length: 0 };
const BROWSER = { document: {}, history: sized, location: {}, navigator: {}, window: { ...sized }, matchMedia() {} };
const NAMES = `
AbortController Array Blob Date Error Event EventTarget FormData Headers Intl JSON Map Math Number
Object Promise RegExp Request Response Set String Symbol TextDecoder TextEncoder URL URLSearchParams
Uint8Array clearInterval clearTimeout console fetch queueMicrotask setInterval setTimeout
`;
for (const name of NAMES.trim().split(/\s+/)) BROWSER[name] = globalThis[name];

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
const { default: createModule } = await import(pathToFileURL(`${folder}/pyodide.asm.mjs`));
const untouched = [];
const createPyodideModule = (settings) => {
  const onRuntimeInitialized = () => untouched.push(settings.HEAPU8.slice()); // Before Python begins.
  return createModule(Object.assign(settings, { onRuntimeInitialized }));
};
await loadPyodide({ indexURL: folder, createPyodideModule }); // What differs in the next is random.
const sources = resolve(folder, "../pyscript/stdlib.mjs");
const options = { _makeSnapshot: true, createPyodideModule, jsglobals: BROWSER };
const python = await loadPyodide({ indexURL: folder, ...options });
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
if (existsSync(sources)) keepPyScript(python, (await import(pathToFileURL(sources))).default.pyscript);
wipeFreeMemory(python);
writeFileSync(`${folder}/snapshot.gz`, gzipSync(packed(python.makeMemorySnapshot()), { level: 9 }));
writeFileSync(`${folder}/archives.json`, JSON.stringify(paths));

function keepPyScript(python, sources) {
  const globals = python.toPy({ __name__: "keep_pyscript" });
  python.runPython(readFileSync(new URL("keep_pyscript.py", import.meta.url), "utf8"), { globals });
  const keep = globals.get("keep");
  const given = python.toPy(sources);
  keep(given);
  for (const proxy of [keep, given, globals]) proxy.destroy();
}

// What was freed is still there, and would be moved: a fifth of the file. So all free memory is
// allocated, in blocks that become smaller and never let the heap grow, filled with zeros and freed.
function wipeFreeMemory({ runPython, _module: module }) {
  runPython("import gc, re, sys; re.purge(); sys._clear_internal_caches(); gc.collect()");
  const blocks = [];
  for (let size = LARGEST_BLOCK; size >= SMALLEST_BLOCK; size /= 2) {
    for (;;) {
      const end = module._sbrk(0);
      const block = module._malloc(size);
      if (block && module._sbrk(0) === end) blocks.push(block);
      else {
        if (block) module._free(block);
        break;
      }
      module.HEAPU8.fill(0, block, block + size);
    }
  }
  for (const block of blocks) module._free(block);
}

function packed(snapshot) {
  const headBytes = new Uint32Array(snapshot.buffer, 0, 2)[1]; // Where the memory begins.
  const memory = snapshot.subarray(headBytes);
  const pages = memory.length / PAGE_BYTES;
  const bits = new Uint8Array(Math.ceil(pages / 8));
  const [kept, left] = [[], []];
  for (let page = 0; page < pages; page += 1) {
    const content = pageOf(memory, page);
    if (untouched.every((fresh) => isSame(content, pageOf(fresh, page)))) left.push(page);
    else {
      bits[page >> 3] |= 1 << (page & 7);
      kept.push(content);
    }
  }
  const sizes = Uint32Array.of(headBytes, pages, sumOf(new Uint32Array(memory.buffer, headBytes), left));
  return Buffer.concat([new Uint8Array(sizes.buffer), snapshot.subarray(0, headBytes), bits, ...kept]);
}

function isSame(content, before) {
  return Buffer.compare(content, before.length ? before : NOTHING) === 0;
}
