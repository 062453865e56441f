import { run } from "./host.mjs";

const result = run();
globalThis.onconnect = async ({ ports }) => ports[0].postMessage(await result);
if (globalThis.postMessage) postMessage(await result);
