// Runs before Python does: who is signed in sees no sign-in form while Python starts.
"use strict";
{
  const root = document.documentElement;
  let stored = null;
  try {
    stored = localStorage.getItem(root.dataset.storageKey);
  } catch {
    // Blocked: then nobody is signed in yet.
  }
  root.dataset.view = stored === null ? "sign-in" : "notes";
}
