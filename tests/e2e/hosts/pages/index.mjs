// Runs the story in the host that the address names, and shows its result.
import { run } from "./host.mjs";

const blob = (text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
const FROM_BLOB = `import { run } from "${new URL("host.mjs", import.meta.url)}";
  run().then((text) => postMessage(text));`;

const hosts = {
  page: () => run(),
  module: () => message(new Worker(`/app/worker.mjs${location.search}`, { type: "module" })),
  older: () => message(new Worker("/app/worker.js")),
  blob: () => message(new Worker(blob(FROM_BLOB), { type: "module" })),
  shared: () => message(new SharedWorker("/app/worker.mjs", { type: "module" }).port),
};

const message = (port) =>
  new Promise((resolve, reject) => {
    port.onmessage = (event) => resolve(event.data);
    port.onerror = (event) => reject(new Error(event.message ?? "The worker did not start."));
  });

const kind = new URLSearchParams(location.search).get("host");
if (kind) {
  document.body.textContent = await hosts[kind]().catch((error) => `failed: ${error.message}`);
  document.documentElement.dataset.ready = "true";
}
