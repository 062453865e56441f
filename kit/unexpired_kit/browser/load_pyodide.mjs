// Loads Pyodide for PyScript, from a snapshot of its memory.
//
// pyodide/snapshot.gz contains a started interpreter with the page's imports preloaded
// (make_snapshot.mjs). Every browser tries it; where that fails, Pyodide starts normally.
import "./indexed_db.mjs";
import { PAGE_BYTES, pageOf, sumOf } from "./memory_pages.mjs";
import createModule from "./pyodide/pyodide.asm.mjs";
import { loadPyodide as startPyodide, version } from "./pyodide/pyodide.mjs";

export { version };

// A build keeps Pyodide apart from what it makes of a page, and changes "./pyodide/" wherever it is here.
const indexURL = new URL("./pyodide/", import.meta.url).href;
const OWN = new URL("pyodide/", import.meta.url);
const SIZES_BYTES = 12;
const SILENCE_MS = 20_000; // Then Python starts without the snapshot.
const DAMAGED = "snapshot.gz: damaged";

// Loading starts before PyScript asks for it. Until then, output goes to the console.
let streams = { stdout: console.log, stderr: console.error };
const output = {
  stdout: (line) => streams.stdout(line),
  stderr: (line) => streams.stderr(line),
};
const uncompiled = watchWebAssembly();
const archives = fetchArchives();
const restored = restoreSnapshot();
// loadPyodide handles the errors; without this, the browser would report them as unhandled before.
for (const promise of [uncompiled, archives, restored]) promise.catch(() => {});

export async function loadPyodide(options) {
  streams = options;
  const started = restored.catch(() => startPyodide({ ...options, indexURL }));
  const python = await Promise.race([started, uncompiled]);
  return withArchives(python, await archives);
}

// Rejects if Pyodide's WebAssembly cannot be loaded. Pyodide would only log it, and wait forever.
// A preload in the page's head would tell, too, but with one Chromium never keeps what it compiled.
function watchWebAssembly() {
  const instantiate = WebAssembly.instantiateStreaming.bind(WebAssembly);
  return new Promise((_, reject) => {
    WebAssembly.instantiateStreaming = (source, imports) => {
      const instance = instantiate(withMediaType(source), imports);
      if (imports?.env?.Jsv_GetError_import) instance.catch(reject);
      return instance;
    };
  });
}

// Some hosts do not know WebAssembly's media type, without which browsers refuse to compile it.
async function withMediaType(source) {
  const response = await source;
  if (!response.ok || response.headers.get("Content-Type") === "application/wasm") return response;
  return new Response(response.body, { headers: { "Content-Type": "application/wasm" } });
}

async function restoreSnapshot() {
  const snapshot = openSnapshot();
  snapshot.catch(() => {}); // Pyodide awaits it, but only after other things.
  let chosen;
  const createPyodideModule = async (settings) => {
    const { memoryBytes, restore } = await snapshot;
    // The WebAssembly is compiled while the snapshot's pages still arrive.
    const module = await createModule(settings);
    // Pyodide begins with the memory that its own modules need.
    if (module.HEAPU8.length < memoryBytes) module.growMemory(memoryBytes);
    chosen = trampoline(module); // Before the snapshot overwrites it.
    await restore(module);
    return module;
  };
  // Pyodide copies the memory that follows the head. None does, so that there is one copy of it only.
  const _loadSnapshot = snapshot.then(({ head }) => head);
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
async function openSnapshot() {
  const reader = (await fetchSnapshot()).getReader();
  const sizes = await readAtLeast(SIZES_BYTES, reader);
  const [headBytes, pages, sum] = new Uint32Array(sizes.buffer, 0, 3);
  const bitsAt = SIZES_BYTES + headBytes;
  const pagesAt = bitsAt + Math.ceil(pages / 8);
  const front = await readAtLeast(pagesAt, reader, sizes);
  const rest = readAll(reader, front.subarray(pagesAt));
  rest.catch(() => {});
  const [kept, left] = sorted(front.subarray(bitsAt, pagesAt));
  const restore = async ({ HEAPU8: memory, HEAP32 }) => {
    const stored = await rest;
    if (stored.length !== kept.length * PAGE_BYTES) throw new Error(DAMAGED);
    if (sumOf(HEAP32, left) !== sum) throw new Error("snapshot.gz: other WebAssembly");
    kept.forEach((page, index) => memory.set(pageOf(stored, index), page * PAGE_BYTES));
  };
  return { head: front.slice(SIZES_BYTES, bitsAt), memoryBytes: pages * PAGE_BYTES, restore };
}

// The numbers of the pages whose bit is set, and of the others.
function sorted(bits) {
  const [set, others] = [[], []];
  for (let page = 0; page < 8 * bits.length; page += 1) {
    (bits[page >> 3] & (1 << (page & 7)) ? set : others).push(page);
  }
  return [set, others];
}

async function readAtLeast(count, reader, bytes = new Uint8Array()) {
  while (bytes.length < count) {
    const { done, value } = await inTime(reader.read());
    if (done) throw new Error(DAMAGED);
    bytes = await joined([bytes, value]);
  }
  return bytes;
}

async function readAll(reader, begun) {
  const chunks = [begun];
  for (;;) {
    const { done, value } = await inTime(reader.read());
    if (done) return joined(chunks);
    chunks.push(value);
  }
}

// Rejects if nothing arrives for a while: a host may accept a request and never answer it.
async function inTime(promise) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("snapshot.gz: no answer")), SILENCE_MS);
  });
  return Promise.race([promise, silence]).finally(() => clearTimeout(timer));
}

async function joined(chunks) {
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function fetchSnapshot() {
  const response = await inTime(fetchFile("snapshot.gz"));
  const reader = response.clone().body.getReader();
  const { value = [] } = await inTime(reader.read());
  reader.cancel();
  const isPacked = value[0] === 0x1f && value[1] === 0x8b; // Else the host sent it with Content-Encoding.
  return isPacked ? response.body.pipeThrough(new DecompressionStream("gzip")) : response.body;
}

async function fetchArchives() {
  const paths = JSON.parse(new TextDecoder().decode(await fetchBytes("archives.json")));
  const read = async (path) => [path, await fetchBytes(path.slice(path.lastIndexOf("/") + 1))];
  return Promise.all(paths.map(read));
}

async function fetchBytes(name) {
  return new Uint8Array(await (await fetchFile(name)).arrayBuffer());
}

async function fetchFile(name) {
  const response = await fetch(new URL(name, OWN));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response;
}
