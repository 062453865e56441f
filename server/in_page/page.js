// Connects this page with the server in its worker, and starts both at once: the server starts while
// Python does here, and while the person types.
"use strict";
{
  const TIMEOUT_MS = 10_000;
  const root = document.documentElement;
  const { serviceWorker } = navigator;
  const folder = new URL(".", location).pathname;
  const place = new URL(`server_worker.mjs?folder=${encodeURIComponent(folder)}`, document.currentScript.src).href;
  const gate = new URL("service_worker.js", document.baseURI).href;

  // Pages of one origin share its storage, and each folder has a server of its own.
  root.dataset.storageKey = `unexpired@${folder}`;
  root.dataset.server = "in-page"; // The style sheet then shows where the server is.
  const show = ({ state, reason }) => {
    console.warn(reason);
    root.dataset.server = state;
  };
  const fail = (reason) => show({ state: "failed", reason: String(reason) });

  const isOurs = (url) => url === place || url === gate;
  const policy = globalThis.trustedTypes?.createPolicy("in-page-server", {
    createScriptURL: (url) => (isOurs(url) ? url : null),
  });
  const trusted = (url) => policy?.createScriptURL(url) ?? url;

  const connect = () => {
    const options = { type: "module", name: folder };
    const isShared = "SharedWorker" in globalThis;
    const worker = isShared ? new SharedWorker(trusted(place), options) : new Worker(trusted(place), options);
    worker.addEventListener("error", () => fail("The worker of the server cannot be loaded."));
    if (!isShared) makeWay(worker);
    return worker.port ?? worker;
  };

  // A page that its browser keeps for the way back would keep the only server, and hand nothing on.
  const makeWay = (worker) => {
    addEventListener("pagehide", () => worker.terminate());
    addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  };

  const start = async () => {
    if (!serviceWorker) throw new Error("There is no Service Worker here.");
    const server = connect();
    server.onmessage = ({ data }) => show(data); // Why it could not start, or what it cannot keep.
    serviceWorker.addEventListener("message", ({ data, ports }) => server.postMessage(data, ports));
    serviceWorker.startMessages();
    const controlled = new Promise((resolve) => {
      serviceWorker.addEventListener("controllerchange", resolve);
    });
    await serviceWorker.register(trusted(gate));
    const { active } = await serviceWorker.ready;
    if (serviceWorker.controller) return;
    active.postMessage("claim");
    await controlled;
  };

  // ready.mjs holds up the page's own Python until then: its first request must not miss the server.
  const late = new Promise((_, reject) => {
    setTimeout(reject, TIMEOUT_MS, "The Service Worker does not start.");
  });
  globalThis.serverInPage = Promise.race([start(), late]).catch(fail);
}
