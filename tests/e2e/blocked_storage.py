"""A browser that blocks all storage."""

from playwright.sync_api import Page

SENTENCE = "you stay signed in only until this page is closed or reloaded"

# What Chromium 156 does where all cookies are blocked. Its headless shell has no such setting.
_BLOCK = """
const denied = () => new DOMException("denied", "SecurityError");
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw denied(); }, configurable: true });
for (const name of ["request", "query"])
  if (navigator.locks) LockManager.prototype[name] = async () => { throw denied(); };
IDBFactory.prototype.open = () => {
  const request = Object.assign(new EventTarget(), {
    error: new DOMException("The user denied permission to access the database.", "UnknownError"),
  });
  request.addEventListener("error", (event) => request.onerror?.(event));
  setTimeout(() => request.dispatchEvent(new Event("error")));
  return request;
};
"""


_BLOCK_LOCAL_STORAGE = """
Object.defineProperty(window, "localStorage", { get() { throw new DOMException("denied"); } });
"""


def block_local_storage(page: Page) -> None:
    """Deny the page ``localStorage`` only."""
    page.add_init_script(_BLOCK_LOCAL_STORAGE)


def block_storage(page: Page) -> None:
    """Deny the page web storage, IndexedDB and Web Locks."""
    page.add_init_script(_BLOCK)
