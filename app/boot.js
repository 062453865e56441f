// Runs before Python does, and does only what cannot wait for it: translates the markup, shows the
// progress of loading, keeps what is typed, and offers a reload when the runtime cannot be loaded.
"use strict";
{
  const STALLED_MS = 60_000;
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

  // Lets the style sheet hide the sign-in form while Python starts, if there is a session.
  try {
    root.dataset.returning = String(localStorage.getItem(root.dataset.storageKey) !== null);
  } catch {
    root.dataset.returning = "false"; // Storage is blocked, so there is no session.
  }

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
  addEventListener("unhandledrejection", showFailure);
  addEventListener("py:done", showFailure, true); // Unless the page is ready, main.py has failed.

  // A reload clears the form. Keep the username; the password must not be stored.
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
