// Runs before Python does, and does only what cannot wait for it: translates the markup, shows the
// progress of loading, keeps what is typed, and offers a reload when the runtime cannot be loaded.
"use strict";
{
  // The token of a link for a forgotten password leaves the address bar before anything else runs. The
  // entry of the history keeps it for a reload; no server, log or link to elsewhere sees it.
  const takeToken = () => {
    const [path, query] = location.hash.split("?");
    const token = path === "#/reset" && new URLSearchParams(query).get("token");
    if (token) history.replaceState({ ...history.state, resetToken: token }, "", path);
  };
  // So does what a sign-in at a provider has come to.
  const takeAnswer = () => {
    const [path, text] = location.hash.split("?");
    const query = new URLSearchParams(text);
    if (path !== "#/login" || !(query.has("code") || query.has("failed"))) return;
    const providerAnswer = {};
    for (const name of ["attempt", "code", "failed"]) {
      providerAnswer[name] = query.get(name) ?? "";
      query.delete(name);
    }
    const rest = String(query);
    history.replaceState({ ...history.state, providerAnswer }, "", rest ? `${path}?${rest}` : path);
  };
  for (const take of [takeToken, takeAnswer]) {
    take();
    addEventListener("hashchange", take);
  }

  const STALLED_MS = 60_000;
  const UNFINISHED_STARTS = 2;
  const STAGES = {
    "Loading Pyodide": "Fetching Python",
    "Loading interpreter": "Starting Python",
    "Loading files": "Opening the page",
  };
  const root = document.documentElement;
  const TRANSLATED_ATTRIBUTES = ["aria-label", "placeholder", "title"];
  const isReady = () => root.dataset.ready === "true";
  const byId = (id) => document.getElementById(id);

  // The first of the person's languages that has translations. The English messages are in the sources.
  const translations = { en: {}, ...globalThis.translations };
  const languages = navigator.languages.map((tag) => tag.split("-")[0].toLowerCase());
  root.lang = languages.find((language) => Object.hasOwn(translations, language)) ?? "en";
  const pageTranslations = translations[root.lang];
  globalThis.pageTranslations = pageTranslations; // main.py reads them too.
  const tr = (text) => pageTranslations[text.replace(/\s+/g, " ")] ?? text;

  const translate = (tree) => {
    for (const element of tree.querySelectorAll("*")) {
      if (element instanceof HTMLTemplateElement) translate(element.content);
      for (const name of TRANSLATED_ATTRIBUTES) {
        if (element.hasAttribute(name)) element.setAttribute(name, tr(element.getAttribute(name)));
      }
      for (const node of element.childNodes) {
        if (node.nodeType === Node.TEXT_NODE) node.data = node.data.replace(/\S(.*\S)?/s, tr);
      }
    }
  };
  // By then all markup is parsed, but nothing is painted: the style sheets are still loading.
  const onReadyStateChange = () => {
    if (document.readyState === "interactive" && root.lang !== "en") translate(document.body);
  };
  document.addEventListener("readystatechange", onReadyStateChange);

  // The storage that the session is in, as the library chooses it: the first one that works.
  const key = root.dataset.storageKey;
  const working = (name) => {
    try {
      const storage = globalThis[name];
      storage.setItem(`${key}:probe`, "1");
      storage.removeItem(`${key}:probe`);
      return storage;
    } catch {
      return undefined; // Blocked, full or missing.
    }
  };
  const ofTab = working("sessionStorage");
  const storage = working("localStorage") ?? ofTab;
  if (!storage) root.dataset.storage = "blocked"; // The style sheet then shows a sentence about it.

  // A stored session that Python cannot survive must not lock the person out. If the page's own code
  // does not get to its end twice in a row in this tab, the record is set aside for the third start:
  // deleted if that one succeeds, and put back if it fails as well, for then it was not the record.
  const startsKey = `${key}:unfinished-starts`;
  const asideKey = `${key}:set-aside`;
  const move = (from, to) => {
    const text = storage?.getItem(from) ?? null;
    if (text === null) return false;
    if (storage.getItem(to) === null) storage.setItem(to, text);
    storage.removeItem(from);
    return true;
  };
  const unfinished = Number(ofTab?.getItem(startsKey) ?? 0);
  move(asideKey, key);
  if (unfinished === UNFINISHED_STARTS && move(key, asideKey)) root.dataset.session = "dropped";

  // Only what ended the page's own code counts, not a start that is slow, or that somebody left.
  let hasBegun = false;
  const onFailure = () => {
    if (!hasBegun) return;
    hasBegun = false;
    ofTab?.setItem(startsKey, unfinished + 1);
  };
  const onReady = () => {
    byId("boot-failed").hidden = true; // It was only slow.
    ofTab?.removeItem(startsKey);
    storage?.removeItem(asideKey);
  };
  addEventListener("py:ready", () => (hasBegun = true), true); // The page's own code runs next.

  // Lets the style sheet hide the sign-in form while Python starts, if another view will follow.
  const isElsewhere = /^#\/(sign-up|forgot|reset)\b/.test(location.hash);
  const hasCode = Boolean(history.state?.providerAnswer?.code);
  root.dataset.returning = String(isElsewhere || hasCode || (storage?.getItem(key) ?? null) !== null);

  // No form reloads the page. One that is submitted before Python runs is marked, and sent later.
  addEventListener(
    "submit",
    (event) => {
      event.preventDefault();
      if (isReady()) return;
      event.target.dataset.pending = "true";
      event.submitter?.setAttribute("aria-busy", "true");
    },
    true,
  );

  // Python has used up its stack or its memory, and does not run any more.
  const isFatal = (reason) => reason instanceof WebAssembly.RuntimeError || ["RangeError", "InternalError"].includes(reason?.name);
  const showFailure = () => {
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", showFailure);
    else if (!isReady()) byId("boot-failed").hidden = false;
  };
  let stalled = setTimeout(showFailure, STALLED_MS);
  addEventListener("py:progress", ({ detail }) => {
    clearTimeout(stalled);
    stalled = setTimeout(showFailure, STALLED_MS);
    byId("boot").querySelector("progress").value += 1;
    if (STAGES[detail]) byId("boot-stage").textContent = tr(STAGES[detail]);
  });
  addEventListener("error", ({ target }) => ["SCRIPT", "LINK"].includes(target.tagName) && showFailure(), true);
  addEventListener("unhandledrejection", ({ reason }) => {
    if (isFatal(reason)) onFailure();
    showFailure();
  });
  const onDone = () => {
    if (isReady()) return onReady();
    onFailure(); // main.py has failed.
    showFailure();
  };
  addEventListener("py:done", onDone, true);

  // A reload clears the form. Keep the username; the password must not be stored.
  const field = () => document.querySelector("#sign-in [name=username]");
  addEventListener("click", ({ target }) => {
    if (target.id !== "boot-reload") return;
    history.replaceState({ ...history.state, username: field().value }, "");
    location.reload();
  });
  addEventListener("DOMContentLoaded", () => {
    field().value ||= history.state?.username ?? "";
  });
}
