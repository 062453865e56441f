// The interpreter that PyScript is given: Pyodide, woken from a snapshot of its memory.
//
// vendor/pyodide/snapshot.gz is Python as it is after its start, with what the page imports already
// imported (tools/make_snapshot.mjs). Where it does not fit, Pyodide starts as it always did.
import createModule from "../vendor/pyodide/pyodide.asm.mjs";
import { loadPyodide as start, version } from "../vendor/pyodide/pyodide.mjs";

export { version };

const HOME = new URL("../vendor/pyodide/", import.meta.url);
const indexURL = HOME.href;

// Python wakes while PyScript is still loading; what it says meanwhile goes to the console.
let listener = { stdout: console.log, stderr: console.error };
const output = {
  stdout: (line) => listener.stdout(line),
  stderr: (line) => listener.stderr(line),
};
const archives = fetchArchives();
const awake = wake();
for (const promise of [archives, awake]) promise.catch(() => {}); // Whoever awaits it hears of it.

export async function loadPyodide(options) {
  listener = options;
  const python = await awake.catch(() => start({ ...options, indexURL }));
  return furnished(python, await archives);
}

async function wake() {
  // WebKit cannot take up a memory that another engine made: it would only be tried in vain.
  if ("GestureEvent" in globalThis) throw new Error("WebKit");
  const _loadSnapshot = await fetchMemory();
  let native;
  const createPyodideModule = async (settings) => {
    const module = await createModule(settings);
    native = trampoline(module);
    return module;
  };
  const python = await start({ ...output, indexURL, createPyodideModule, _loadSnapshot });
  // The engine that made the snapshot may have had no better way than through JavaScript, which is
  // slower, and where nothing can be awaited (pyodide.ffi.run_sync).
  trampoline(python._module, native);
  // What else is drawn by lot, secrets and uuid, asks the browser each time.
  python.runPython("import random; random.seed()");
  performance.mark("python-woken"); // For whoever measures.
  return python;
}

// What is not in the snapshot is imported from the archives as they are, unpacked nowhere.
function furnished(python, archives) {
  for (const [path, content] of archives) {
    python.FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
    python.FS.writeFile(path, content);
  }
  const paths = JSON.stringify(archives.map(([path]) => path));
  python.runPython(`import sys; sys.path += [path for path in ${paths} if path not in sys.path]`);
  return python;
}

// The function by which Python calls others, as Pyodide chose it when it looked at this engine.
function trampoline(module, chosen) {
  const { HEAP32, __PyRuntime, __PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET: offset } = module;
  const place = (__PyRuntime + HEAP32[offset >>> 2]) >>> 2;
  if (chosen !== undefined) HEAP32[place] = chosen;
  return HEAP32[place];
}

async function fetchMemory() {
  const packed = await fetchBytes("snapshot.gz");
  const [first, second] = packed;
  if (first !== 0x1f || second !== 0x8b) return packed; // The host's own encoding was undone.
  const memory = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(memory).arrayBuffer());
}

async function fetchArchives() {
  const paths = JSON.parse(new TextDecoder().decode(await fetchBytes("archives.json")));
  const read = async (path) => [path, await fetchBytes(path.slice(path.lastIndexOf("/") + 1))];
  return Promise.all(paths.map(read));
}

async function fetchBytes(name) {
  const response = await fetch(new URL(name, HOME));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
