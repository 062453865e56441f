// What must happen before Python exists, and nothing else: speak the person's language, say what is
// loading, keep what is typed, and offer a way out when the runtime cannot be loaded.
"use strict";
{
  const STALLED_MS = 60_000;
  const STAGES = {
    "Loading Pyodide": "Fetching Python",
    "Loading interpreter": "Starting Python",
    "Loading files": "Opening the page",
  };
  const root = document.documentElement;
  const SPOKEN = ["aria-label", "placeholder", "title"];
  const isReady = () => root.dataset.ready === "true";
  const part = (id) => document.getElementById(id);

  // The first of the person's languages that the page speaks; English stands in the sources.
  const translations = { en: {}, ...globalThis.translations };
  const languages = navigator.languages.map((tag) => tag.split("-")[0].toLowerCase());
  root.lang = languages.find((language) => Object.hasOwn(translations, language)) ?? "en";
  const words = translations[root.lang];
  globalThis.words = words; // Python reads them, too.
  const told = (text) => words[text.replace(/\s+/g, " ")] ?? text;

  const translate = (tree) => {
    for (const element of tree.querySelectorAll("*")) {
      if (element instanceof HTMLTemplateElement) translate(element.content);
      for (const name of SPOKEN) {
        if (element.hasAttribute(name)) element.setAttribute(name, told(element.getAttribute(name)));
      }
      for (const node of element.childNodes) {
        if (node.nodeType === Node.TEXT_NODE) node.data = node.data.replace(/\S(.*\S)?/s, told);
      }
    }
  };
  // All of the markup is there, and nothing has been painted: the style sheets are on their way.
  const interactive = () => {
    if (document.readyState === "interactive" && root.lang !== "en") translate(document.body);
  };
  document.addEventListener("readystatechange", interactive);

  // Someone with a session need not look at the sign-in form while Python starts.
  try {
    root.dataset.returning = String(localStorage.getItem(root.dataset.storageKey) !== null);
  } catch {
    root.dataset.returning = "false"; // Storage is blocked: nobody can be signed in.
  }

  // No form ever reloads the page; one that is sent too early is kept until Python can answer it.
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

  const fail = () => {
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", fail);
    else if (!isReady()) part("boot-failed").hidden = false;
  };
  let stalled = setTimeout(fail, STALLED_MS);
  addEventListener("py:progress", ({ detail }) => {
    clearTimeout(stalled);
    stalled = setTimeout(fail, STALLED_MS);
    part("boot").querySelector("progress").value += 1;
    if (STAGES[detail]) part("boot-stage").textContent = told(STAGES[detail]);
  });
  addEventListener("error", ({ target }) => ["SCRIPT", "LINK"].includes(target.tagName) && fail(), true);
  addEventListener("unhandledrejection", fail);
  addEventListener("py:done", fail, true); // The page is ready before main.py is done, or never.

  // A reload forgets a form. The name is worth keeping; a password is never stored.
  const field = () => document.querySelector("#sign-in [name=username]");
  addEventListener("click", ({ target }) => {
    if (target.id !== "boot-reload") return;
    history.replaceState({ username: field().value }, "");
    location.reload();
  });
  addEventListener("DOMContentLoaded", () => {
    field().value ||= history.state?.username ?? "";
  });
}
