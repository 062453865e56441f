// Starts plain Pyodide with the library's wheel, and runs the story; in a page and in workers.
const story = new URLSearchParams(location.search).get("story") ?? "story";
const at = (name) => new URL(name, import.meta.url).href;

export async function run() {
  const { loadPyodide } = await import("./pyodide/pyodide.mjs");
  return tell(loadPyodide);
}

export async function tell(loadPyodide, folder = "pyodide/") {
  const python = await loadPyodide({ indexURL: at(folder) });
  const wheels = await (await fetch(at("wheels.json"))).json();
  await python.loadPackage(wheels.map(at));
  python.runPython(await (await fetch(at("story.py"))).text());
  return python.globals.get(story)();
}
