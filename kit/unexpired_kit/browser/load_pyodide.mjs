// Loads Pyodide for PyScript, from a snapshot of its memory.
//
// pyodide/snapshot.gz contains a started interpreter with the page's imports preloaded
// (make_snapshot.mjs). Every browser tries it; where that fails, Pyodide starts normally.
import "./indexed_db.mjs";
import { PAGE_BYTES, pageOf, sumOf } from "./memory_pages.mjs";
import createModule from "./pyodide/pyodide.asm.mjs";
import { loadPyodide as startPyodide, version } from "./pyodide/pyodide.mjs";

export { version };

const VENDOR = new URL("./pyodide/", import.meta.url);
const indexURL = VENDOR.href;

// Loading starts before PyScript asks for it. Until then, output goes to the console.
let streams = { stdout: console.log, stderr: console.error };
const output = {
  stdout: (line) => streams.stdout(line),
  stderr: (line) => streams.stderr(line),
};
const archives = fetchArchives();
const restored = restoreSnapshot();
// loadPyodide handles the errors; without this, the browser would report them as unhandled before.
for (const promise of [archives, restored]) promise.catch(() => {});

export async function loadPyodide(options) {
  streams = options;
  const python = await restored.catch(() => startPyodide({ ...options, indexURL }));
  return withArchives(python, await archives);
}

async function restoreSnapshot() {
  const { _loadSnapshot, complete } = openSnapshot(await fetchSnapshot());
  let chosen;
  const createPyodideModule = async (settings) => {
    const module = await createModule(settings);
    complete(module.HEAPU8);
    chosen = trampoline(module);
    return module;
  };
  const python = await startPyodide({ ...output, indexURL, createPyodideModule, _loadSnapshot });
  // The snapshot contains the trampoline of the engine that made it. That may be the one through
  // JavaScript, which is slower and rules out pyodide.ffi.run_sync.
  trampoline(python._module, chosen);
  // The snapshot is the same for everybody, so `random` needs a new seed; `secrets` and `uuid` have
  // none and ask the browser each time.
  python.runPython("import random; random.seed()");
  performance.mark("python-restored"); // Tests and benchmarks read it.
  return python;
}

// Modules that are not in the snapshot are imported from the archives, which are not unpacked.
function withArchives(python, archives) {
  for (const [path, content] of archives) {
    python.FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
    python.FS.writeFile(path, content);
  }
  const paths = JSON.stringify(archives.map(([path]) => path));
  python.runPython(`import sys; sys.path += [path for path in ${paths} if path not in sys.path]`);
  return python;
}

// Gets or sets the function through which Python calls C functions; Pyodide chooses it per engine.
function trampoline(module, chosen) {
  const { HEAP32, __PyRuntime, __PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET: offset } = module;
  const index = (__PyRuntime + HEAP32[offset >>> 2]) >>> 2;
  if (chosen !== undefined) HEAP32[index] = chosen;
  return HEAP32[index];
}

// make_snapshot.mjs describes the form. What it leaves out comes from the WebAssembly, which is the
// one that the snapshot was made with if the sum is right.
function openSnapshot(bytes) {
  const [headBytes, pages, sum] = new Uint32Array(bytes.buffer, 0, 3);
  const bits = bytes.subarray(12 + headBytes, 12 + headBytes + Math.ceil(pages / 8));
  const stored = bytes.subarray(12 + headBytes + bits.length);
  const [kept, left] = [[], []];
  for (let page = 0; page < 8 * bits.length; page += 1) {
    (bits[page >> 3] & (1 << (page & 7)) ? kept : left).push(page);
  }
  if (stored.length !== kept.length * PAGE_BYTES) throw new Error("snapshot.gz: damaged");
  const _loadSnapshot = new Uint8Array(headBytes + pages * PAGE_BYTES);
  _loadSnapshot.set(bytes.subarray(12, 12 + headBytes));
  const memory = _loadSnapshot.subarray(headBytes);
  kept.forEach((page, index) => memory.set(pageOf(stored, index), page * PAGE_BYTES));
  const complete = (fresh) => {
    for (const page of left) memory.set(pageOf(fresh, page), page * PAGE_BYTES);
    if (sumOf(new Uint32Array(fresh.buffer), left) !== sum) throw new Error("snapshot.gz: other WebAssembly");
  };
  return { _loadSnapshot, complete };
}

async function fetchSnapshot() {
  const bytes = await fetchBytes("snapshot.gz");
  const [first, second] = bytes;
  if (first !== 0x1f || second !== 0x8b) return bytes; // The host sent it with Content-Encoding.
  const memory = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(memory).arrayBuffer());
}

async function fetchArchives() {
  const paths = JSON.parse(new TextDecoder().decode(await fetchBytes("archives.json")));
  const read = async (path) => [path, await fetchBytes(path.slice(path.lastIndexOf("/") + 1))];
  return Promise.all(paths.map(read));
}

async function fetchBytes(name) {
  const response = await fetch(new URL(name, VENDOR));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
