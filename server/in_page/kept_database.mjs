// The server's database and its secret, which this browser keeps from one visit to the next. Where it
// keeps nothing, as in some private windows or on a full disk, both last as long as the worker.
const STORE = "servers";

let forget;
export const forgotten = new Promise((resolve) => {
  forget = resolve; // With the reason why something is not kept.
});

const opened = new Promise((resolve, reject) => {
  const request = indexedDB.open("unexpired-in-page", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
opened.catch(() => {});

export async function kept(name) {
  try {
    return await run("readonly", (store) => store.get(name));
  } catch (error) {
    return forget(error);
  }
}

export async function keep(name, content) {
  try {
    await run("readwrite", (store) => store.put(content, name));
  } catch (error) {
    forget(error);
  }
}

async function run(mode, work) {
  const transaction = (await opened).transaction(STORE, mode);
  const request = work(transaction.objectStore(STORE));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}
