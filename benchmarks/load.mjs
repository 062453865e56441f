// Sends requests for some seconds and prints the outcome as one line of JSON.
//
// Standard input: {url, path, seconds, connections, kind, items, fields}; `kind` is
//   "get"      GET with one of `items`, in a cycle, as its bearer token
//   "refresh"  POST of a refresh token; its successor joins the end of the queue, so the more
//              sessions there are, the more rarely each is refreshed, as in production
//   "post"     POST of one of `items`, in a cycle, as its body
import autocannon from "autocannon";
import { readFileSync } from "node:fs";

const job = JSON.parse(readFileSync(0, "utf8"));
const items = job.items;
let next = 0;
const statuses = {};

const cycle = () => items[next++ % items.length];
const queue = () => items[next++]; // A token is sent once; its successor is appended.

const kinds = {
  get: {
    method: "GET",
    setupRequest: (request) => ({ ...request, headers: { authorization: `Bearer ${cycle()}` } }),
  },
  refresh: {
    method: "POST",
    setupRequest: (request) => ({ ...request, body: JSON.stringify({ [job.field]: queue() }) }),
    onResponse: (status, body) => {
      if (status === 200) items.push(JSON.parse(body)[job.field]);
    },
  },
  post: {
    method: "POST",
    setupRequest: (request) => ({ ...request, body: JSON.stringify(cycle()) }),
  },
};

const { onResponse = () => {}, ...kind } = kinds[job.kind];
const request = {
  path: job.path,
  headers: { "content-type": "application/json" },
  ...kind,
  onResponse: (status, body, ...rest) => {
    statuses[status] = (statuses[status] ?? 0) + 1;
    onResponse(status, body, ...rest);
  },
};

const times = [];
const run = autocannon({
  url: job.url,
  connections: job.connections,
  duration: job.seconds,
  timeout: 30,
  requests: [request],
});
run.on("response", (_client, _status, _bytes, milliseconds) => times.push(milliseconds));
const outcome = await run;

times.sort((a, b) => a - b);
const quantile = (share) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? null;
console.log(
  JSON.stringify({
    rate: (statuses[200] ?? 0) / outcome.duration,
    median_ms: quantile(0.5),
    p99_ms: quantile(0.99),
    statuses,
    errors: outcome.errors,
  }),
);
