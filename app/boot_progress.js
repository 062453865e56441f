// Shows how far the page has loaded, and says what to do where that does not get on. Runs once the
// markup is parsed, so that it delays nothing that is drawn, and before each of Python's scripts.
"use strict";
{
  const SILENCE_MS = 10_000;
  const SLOW_START_MS = 60_000;
  const TICK_MS = 500;
  const SPEED_MS = 15_000; // The estimate is made from what has arrived in this time.
  const STEADY_MS = 3_000; // After a longer pause no estimate is honest.
  const LEAST_LEFT_S = 5; // Less is not worth a sentence.
  const PROBE_MS = 5_000;
  const MB = 1e6;
  // What the large files weigh on the line, until their responses say so themselves. A test compares.
  const SNAPSHOT = "snapshot.gz";
  const LARGE = { "pyodide.asm.wasm": 3_200_000, "snapshot.gz": 4_300_000, "python_stdlib.zip": 2_600_000 };
  const OTHERS_BYTES = 400_000;
  // Content-Length is that of the compressed form, but what can be counted is decompressed.
  const COMPRESSION = 3;
  // The bar's last part belongs to Python, whose stages are of unknown length.
  const BYTES_SHARE = 0.9;
  const STAGES = 12;

  const FETCHING = "Fetching Python";
  const STARTING = "Starting Python";
  const OPENING = "Opening the page";
  const MESSAGES = {
    failed: "The page could not be loaded completely. Please try again; your username stays in the form.",
    host: "The server does not deliver a file of this page as it should. Please try again later, or tell the people who run it.",
    memory: "There is not enough memory to start Python. Please close other tabs or programs, then reload the page.",
    webassembly: "This browser does not run WebAssembly, which this page needs. Please allow it, or use another browser.",
    silence: "Nothing has arrived for a while. Loading continues once your connection is back; you can also reload the page.",
    slow: "Python is taking long to start on this device. Please wait, or reload the page.",
  };
  const NOTICES = new Set(["silence", "slow"]);

  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const nameOf = (url) => new URL(url, document.baseURI).pathname.split("/").pop();
  const tr = (text, ...values) => {
    const translation = globalThis.pageTranslations?.[text] ?? text;
    return values.reduce((filled, value) => filled.replace("{}", value), translation);
  };

  // -- What arrives -------------------------------------------------------------------------------

  const files = new Map(Object.entries(LARGE).map(([name, bytes]) => [name, { bytes, share: 0 }]));
  let others = 0;
  let open = 0; // Requests whose response has not come to its end.
  let lastByteAt = performance.now();
  let badFile = "";

  const arrived = () => {
    lastByteAt = performance.now();
  };

  const totalBytes = () => [...files.values()].reduce((sum, { bytes }) => sum + bytes, OTHERS_BYTES);
  const loadedBytes = () => [...files.values()].reduce((sum, { bytes, share }) => sum + bytes * share, others);

  const countLarge = async (file, response) => {
    const length = Number(response.headers.get("Content-Length"));
    const ratio = response.headers.has("Content-Encoding") ? COMPRESSION : 1;
    if (length) file.bytes = length;
    let bytes = 0;
    for await (const chunk of chunksOf(response)) {
      bytes += chunk.length;
      file.share = Math.min(bytes / (file.bytes * ratio), 0.99);
      arrived();
    }
    file.share = 1;
  };

  // Safari has no async iteration of a stream.
  async function* chunksOf(response) {
    const reader = response.body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  }

  const onResponse = async (name, response) => {
    arrived();
    if (!response.ok) throw new Error(response.status);
    const file = files.get(name);
    if (file) await countLarge(file, response.clone());
  };
  const onLoss = (name, { message }) => {
    if (files.has(name)) files.set(name, { bytes: 0, share: 1 }); // Nothing more is expected of it.
    if (name === SNAPSHOT) return; // Python starts without it.
    badFile ||= /^\d+$/.test(message) ? `${name}: ${message}` : "";
    fail();
  };

  // Until Python runs, what is fetched is counted. The large files of the head are asked for here, and
  // given to the one who asks next, so that their bytes count before any of Python's scripts has come.
  const pageFetch = globalThis.fetch;
  const early = new Map();
  const IS_FILE = /\.\w+$/;
  const countedFetch = (...request) => {
    open += 1;
    const response = pageFetch(...request);
    const name = nameOf(urlOf(request[0]));
    const counted = response.then((found) => onResponse(name, found));
    counted.catch((error) => onLoss(name, error)).finally(() => (open -= 1));
    return response;
  };
  const urlOf = (target) => (target instanceof Request ? target.url : new URL(target, document.baseURI).href);
  const countingFetch = (...request) => {
    const url = urlOf(request[0]);
    if (!IS_FILE.test(nameOf(url))) return pageFetch(...request); // The API's calls are no part of the start.
    const begun = early.get(url);
    early.delete(url);
    return begun ?? countedFetch(...request);
  };
  globalThis.fetch = countingFetch;

  const fetchEarly = () => {
    for (const { href } of document.querySelectorAll("link[rel=preload][as=fetch]")) {
      const response = countedFetch(href);
      response.catch(() => {}); // The one who asks next gets the error.
      early.set(href, response);
    }
  };

  const isLarge = ({ name }) => files.has(nameOf(name));
  const seen = new PerformanceObserver((list) => {
    const scripts = list.getEntries().filter((entry) => !isLarge(entry));
    const bytes = scripts.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0);
    others = Math.min(others + bytes, OTHERS_BYTES);
    arrived();
  });
  seen.observe({ type: "resource", buffered: true });

  // -- What is shown ------------------------------------------------------------------------------

  let stages = 0;
  let stage = "";
  let shown = ""; // The kind of message.
  const samples = [];

  const isReady = () => root.dataset.ready === "true";
  const hasAll = () => [...files.values()].every(({ share }) => share === 1);
  // PyScript reports no stage before it has come, and Python's loader is the one that asks for the files.
  const isWaiting = () => open > 0 || stages === 0 || early.size > 0;

  const number = (value) => value.toLocaleString(root.lang, { maximumFractionDigits: 1, minimumFractionDigits: 1 });

  const secondsLeft = (loaded) => {
    const now = performance.now();
    samples.push([now, loaded]);
    while (now - samples[0][0] > SPEED_MS) samples.shift();
    const [since, before] = samples[0];
    return loaded > before ? ((totalBytes() - loaded) * (now - since)) / (loaded - before) / 1000 : Infinity;
  };

  // Python's loader asks for the files once all scripts have come, whose bytes cannot be counted.
  const isSteady = () => early.size === 0 && performance.now() - lastByteAt < STEADY_MS;
  const timeLeft = (seconds) => {
    if (!isSteady() || !(seconds >= LEAST_LEFT_S && seconds < Infinity)) return "";
    if (seconds < 90) return tr("about {} seconds left", Math.ceil(seconds / 5) * 5);
    return tr("about {} minutes left", Math.ceil(seconds / 60));
  };

  const label = () => {
    if (stage === STARTING && !hasAll()) return FETCHING;
    return stage;
  };

  const draw = () => {
    const [loaded, total] = [loadedBytes(), totalBytes()];
    const share = (BYTES_SHARE * loaded) / total + ((1 - BYTES_SHARE) * stages) / STAGES;
    const bar = byId("boot").querySelector("progress");
    bar.value = Math.max(bar.value, share);
    if (stage) byId("boot-stage").textContent = tr(label());
    const parts = [tr("{} of {} MB", number(loaded / MB), number(total / MB)), timeLeft(secondsLeft(loaded))];
    byId("boot-detail").textContent = hasAll() ? "" : parts.filter(Boolean).join(" · ");
  };

  const isFinal = () => shown && shown !== "failed" && !NOTICES.has(shown);
  const show = (kind, cause = "") => {
    if (isFinal()) return; // The first failure is the cause of the next ones.
    shown = kind;
    const alert = byId("boot-alert");
    alert.dataset.kind = NOTICES.has(kind) ? "notice" : "error";
    alert.querySelector("p").textContent = tr(MESSAGES[kind]);
    byId("boot-cause").textContent = cause;
    alert.hidden = false;
  };
  const hide = () => {
    shown = "";
    byId("boot-alert").hidden = true;
  };

  const silence = () => {
    const silent = performance.now() - lastByteAt;
    if (isWaiting() && silent > SILENCE_MS) return "silence";
    return silent > SLOW_START_MS ? "slow" : "";
  };

  const tick = () => {
    draw();
    if (shown && !NOTICES.has(shown)) return;
    const kind = silence();
    if (kind && kind !== shown) show(kind);
    if (!kind && shown) hide();
  };

  // -- What fails ---------------------------------------------------------------------------------

  const isScript = (element) => element.matches("script[src], link[rel=modulepreload]");
  const probe = async (element) => {
    const url = element.src || element.href;
    const response = await pageFetch(url, { method: "HEAD", signal: AbortSignal.timeout(PROBE_MS) });
    if ([404, 403, 410].includes(response.status)) return `${nameOf(url)}: ${response.status}`;
    const type = response.headers.get("Content-Type") ?? "";
    return response.ok && isScript(element) && !/javascript/i.test(type) ? `${nameOf(url)}: ${type}` : "";
  };

  // The browser says that a script failed, but neither which one it imports, nor why.
  const findBadFile = async () => {
    const elements = document.querySelectorAll("head :is(script[src], link[rel=modulepreload], link[rel=stylesheet])");
    const probes = await Promise.allSettled([...elements].map(probe));
    return probes.map(({ value }) => value).find(Boolean);
  };

  const lacksMemory = (reason) => /memory|alloc/i.test(reason?.message ?? "");
  const fail = async (reason) => {
    if (isReady()) return;
    if (typeof WebAssembly !== "object") return show("webassembly");
    if (lacksMemory(reason)) return show("memory");
    show("failed");
    const cause = badFile || (await findBadFile());
    if (cause) show("host", cause);
  };

  const start = () => {
    fetchEarly();
    if (typeof WebAssembly !== "object") fail();
    const timer = setInterval(tick, TICK_MS);
    const onDone = () => {
      if (!isReady()) return fail(); // main.py has failed.
      clearInterval(timer);
      seen.disconnect();
      if (globalThis.fetch === countingFetch) globalThis.fetch = pageFetch;
      hide();
    };
    addEventListener("py:done", onDone, true);
  };
  start();

  addEventListener("py:progress", ({ detail }) => {
    stages += 1;
    stage = { "Loading Pyodide": FETCHING, "Loading interpreter": STARTING, "Loading files": OPENING }[detail] ?? stage;
    arrived();
    draw();
  });
  const onError = ({ target, error }) => {
    if (["SCRIPT", "LINK"].includes(target.tagName) || lacksMemory(error)) fail(error);
  };
  addEventListener("error", onError, true);
  addEventListener("unhandledrejection", ({ reason }) => fail(reason));
}
