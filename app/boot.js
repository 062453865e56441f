// Runs before Python does, and does only what cannot wait for it: translates the markup, guards the
// stored session, draws the frame of a signed-in page, and keeps what is typed.
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

  const UNFINISHED_STARTS = 2;
  const root = document.documentElement;
  const TRANSLATED_ATTRIBUTES = ["aria-label", "placeholder", "title"];
  const isReady = () => root.dataset.ready === "true";
  const byId = (id) => document.getElementById(id);

  // The first of the person's languages that has translations. The English messages are in the sources,
  // so a reader of English is shown the page before the translations have come.
  const languages = navigator.languages.map((tag) => tag.split("-")[0].toLowerCase());
  const isEnglish = (languages[0] ?? "en") === "en";
  const choose = () => {
    const translations = { en: {}, ...globalThis.translations };
    root.lang = isEnglish ? "en" : (languages.find((language) => Object.hasOwn(translations, language)) ?? "en");
    globalThis.pageTranslations = translations[root.lang]; // main.py reads them too.
  };
  const tr = (text) => globalThis.pageTranslations[text.replace(/\s+/g, " ")] ?? text;

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
  // The style sheet lets nothing be drawn before. The script is deferred: all markup is parsed by then.
  root.dataset.translating = String(!isEnglish);
  const showTranslated = () => {
    if (root.dataset.translating !== "true") return;
    choose();
    if (root.lang !== "en") translate(document.body);
    root.dataset.translating = "false";
  };
  choose();
  if (!isEnglish) {
    const script = document.querySelector("script[src$='translations.js']");
    for (const event of ["load", "error"]) script.addEventListener(event, showTranslated);
    // A missing file fails at once in Firefox, perhaps before this script listens.
    document.addEventListener("DOMContentLoaded", showTranslated);
  }
  const onReadyStateChange = () => {
    if (document.readyState === "interactive") drawFrame();
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
    ofTab?.removeItem(startsKey);
    storage?.removeItem(asideKey);
  };
  addEventListener("py:ready", () => (hasBegun = true), true); // The page's own code runs next.

  // The style sheet hides the sign-in form while Python starts, if another view will follow. Then the
  // view's markup is shown at once, as an inert frame; the router removes it.
  const PUBLIC_FRAMES = { "sign-up": "sign-up", forgot: "forgotten", reset: "new-password", "secret-key": "secret-key" };
  const FRAMES = { notes: "notes", activity: "activity", devices: "devices", password: "change-password" };
  const path = location.hash.split("?")[0].slice(2);
  const record = storage?.getItem(key) ?? null;
  const hasCode = Boolean(history.state?.providerAnswer?.code);
  const isElsewhere = Object.hasOwn(PUBLIC_FRAMES, path);
  root.dataset.returning = String(isElsewhere || hasCode || record !== null);
  if (record !== null) root.dataset.state = "starting"; // The header is that of somebody signed in.

  const drawFrame = () => {
    if (root.dataset.returning !== "true" || hasCode) return;
    const frame = document.createElement("div");
    frame.id = "frame";
    frame.inert = true;
    frame.setAttribute("aria-hidden", "true");
    frame.append(byId(PUBLIC_FRAMES[path] ?? FRAMES[path] ?? "notes").content.cloneNode(true));
    byId("view").append(frame);
    document.querySelector(`header nav a[href="#/${path || "notes"}"]`)?.setAttribute("aria-current", "page");
    if (record !== null) byId("username").textContent = usernameIn(record);
  };
  const usernameIn = (text) => {
    try {
      return String(JSON.parse(text).user.username ?? "");
    } catch {
      return ""; // Damaged, or one that keeps no user; Python decides.
    }
  };

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
  const FATAL = ["RuntimeError", "RangeError", "InternalError"]; // The first is WebAssembly's.
  const isFatal = (reason) => FATAL.includes(reason?.name);
  addEventListener("unhandledrejection", ({ reason }) => isFatal(reason) && onFailure());
  const onDone = () => {
    if (isReady()) return onReady();
    onFailure(); // main.py has failed.
  };
  addEventListener("py:done", onDone, true);

  // The fragment names the view, so the link to the content must not change it.
  addEventListener("click", (event) => {
    if (!event.target.matches?.(".skip")) return;
    event.preventDefault();
    byId("view").focus();
  });

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
