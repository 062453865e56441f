// PyScript opens two IndexedDB databases when it starts, and never gets further if it cannot have them:
// where the person blocks cookies, and in browsers without IndexedDB. This page keeps nothing in
// them, so PyScript gets an empty database that forgets whatever it is given.
//
// Everyone else's databases are the browser's, those of `pyscript.storage` too: their owners must
// learn that nothing can be stored.
const isPyScripts = (name) => /^IDBMap\/(?!@pyscript\/)/.test(name);

const request = (result) => {
  const pending = {};
  queueMicrotask(() => pending.onsuccess?.({ target: { result } }));
  return pending;
};
const empty = {
  ...{ count: () => request(0), getAllKeys: () => request([]) },
  ...{ get: () => request(), getKey: () => request() },
  ...{ put: () => request(), delete: () => request(), clear: () => request() },
};
const database = { close() {}, transaction: () => ({ objectStore: () => empty }) };

const browsers = found();
const factory = browsers ?? {};
const openBrowsers = browsers?.open.bind(browsers);
factory.open = (name, ...rest) => {
  if (isPyScripts(name)) return request(database);
  if (!openBrowsers) throw new DOMException("There is no IndexedDB.", "NotSupportedError");
  return openBrowsers(name, ...rest);
};
if (!browsers) Object.defineProperty(globalThis, "indexedDB", { value: factory, configurable: true });

function found() {
  try {
    return globalThis.indexedDB;
  } catch {
    return undefined; // Some browsers refuse the property itself.
  }
}
