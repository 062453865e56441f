// Answers what the pages of its folder ask of /api/. A Service Worker cannot reach the worker that
// the server runs in, so it asks a page, which hands the request on.
"use strict";

const TIMEOUT_MS = 25_000; // The server of a slow device starts within this time.
const PAUSE_MS = 100;
const RETRY_AFTER_SECONDS = 2;
const BODILESS = [204, 205, 304];
const FOLDER = new URL(registration.scope).pathname;

addEventListener("install", () => skipWaiting());
// A page that was there first, or was loaded past its cache, is not controlled until it is claimed.
const claim = (event) => event.waitUntil(clients.claim());
addEventListener("activate", claim);
addEventListener("message", claim);

addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const isOurs = pathname.startsWith("/api/") || pathname.startsWith(`${FOLDER}api/`);
  if (origin === location.origin && isOurs) event.respondWith(answer(event));
});

async function answer({ request, clientId }) {
  const message = await messageOf(request);
  const until = Date.now() + TIMEOUT_MS;
  do {
    for (const page of await pagesFrom(clientId)) {
      const response = await ask(page, message, until);
      if (response) return response;
    }
    await pause(PAUSE_MS);
  } while (Date.now() < until);
  return unavailable();
}

// The browser adds the device's name only to requests that leave it.
async function messageOf(request) {
  const { origin, pathname, search } = new URL(request.url);
  const path = pathname.startsWith("/api/") ? pathname : pathname.slice(FOLDER.length - 1);
  return {
    method: request.method,
    url: origin + path + search,
    headers: [...request.headers, ["user-agent", navigator.userAgent]],
    body: new Uint8Array(await request.arrayBuffer()),
  };
}

// The page that asks comes first. It may be gone, as when it signs out and is closed at once.
async function pagesFrom(id) {
  const pages = await clients.matchAll({ type: "window" });
  return pages.sort((one, other) => (other.id === id) - (one.id === id));
}

// Nothing where the server is not the one of this page. Nobody else is asked while it may still answer.
async function ask(page, message, until) {
  const { port1, port2 } = new MessageChannel();
  const answered = new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data);
  });
  page.postMessage(message, [port2]);
  const { isElsewhere, status, headers, body } = await Promise.race([answered, pause(until - Date.now(), {})]);
  if (isElsewhere) return undefined;
  if (!status) return unavailable();
  return new Response(BODILESS.includes(status) ? null : body, { status, headers });
}

function unavailable() {
  const body = { error: "The server in this browser does not respond.", code: "UNAVAILABLE" };
  return Response.json(body, { status: 503, headers: { "Retry-After": RETRY_AFTER_SECONDS } });
}

function pause(milliseconds, value) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, value));
}
