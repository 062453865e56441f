// What PyScript loads Python by: the page's own loader, held up until the page can reach the server.
export * from "./vendor/load_pyodide.mjs";

await globalThis.serverInPage;
