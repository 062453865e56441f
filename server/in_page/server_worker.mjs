// Runs the server: a worker that all tabs share, or, where the browser has none, one tab's own.
//
// Only one of them runs at a time, for they share one database. It holds a lock until it ends. The
// others let the Service Worker ask elsewhere meanwhile: the tabs of an older version of this site,
// and tabs without a shared worker.
import { forgotten, keep, kept } from "./kept_database.mjs";

const FOLDER = new URL(import.meta.url).searchParams.get("folder");
const DATABASE = "/home/pyodide/demo.sqlite3";
const CORE = "pydantic_core.whl";
const SECRET_BYTES = 32;

let server;
const started = new Promise((resolve) => {
  navigator.locks.request(`unexpired-server@${FOLDER}`, () => {
    server = start();
    resolve(server);
    return new Promise(() => {});
  });
});

if ("onconnect" in self) {
  self.onconnect = ({ ports: [port] }) => listen(port);
} else {
  listen(self);
}

function listen(port) {
  const tell = (state) => (reason) => port.postMessage({ state, reason: String(reason) });
  started.catch(tell("failed"));
  forgotten.then(tell("forgetful"));
  port.onmessage = async ({ data, ports: [answer] }) => {
    try {
      answer.postMessage(server ? await respond(await server, data) : { isElsewhere: true });
    } catch (error) {
      console.error(String(error));
      answer.postMessage({});
    }
  };
}

async function respond({ python, running, secret }, { method, url, headers, body }) {
  const given = [python.toPy(headers), python.toPy(body)];
  const response = await running.respond(method, url, ...given);
  const [status, fields, content] = response.toJs();
  for (const proxy of [...given, response]) proxy.destroy();
  // What the response promises is kept before it is sent, as a page may be reloaded at any time.
  if (method !== "GET") await keep(FOLDER, { secret, content: bytesOf(running.content()) });
  return { status, headers: fields, body: content };
}

async function start() {
  const [{ loadPyodide }, core, empty, last] = await Promise.all([
    import("./vendor/load_pyodide.mjs"),
    fetchBytes(CORE),
    fetchBytes("empty.sqlite3"),
    kept(FOLDER),
  ]);
  const python = await loadPyodide({ stdout: console.log, stderr: console.error });
  python.unpackArchive(core, "whl");
  const secret = last?.secret ?? newSecret();
  const { Path } = python.pyimport("pathlib");
  const contents = [last?.content ?? empty, empty].map((content) => python.toPy(content));
  const running = await python.pyimport("server.in_page.server").start(Path(DATABASE), ...contents, secret);
  return { python, running, secret };
}

function bytesOf(proxy) {
  const bytes = proxy.toJs();
  proxy.destroy();
  return bytes;
}

function newSecret() {
  return Array.from(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function fetchBytes(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
