// Sends requests for some seconds and prints the outcome as one line of JSON.
//
// Standard input: {url, path, seconds, connections, kind, items, fields}; `kind` is
//   "get"      GET with one of `items`, in a cycle, as its bearer token
//   "prove"    GET with one of `items`, in a cycle, as its DPoP token: [token, private key as a JWK];
//              each with a new proof (RFC 9449), which `nonce` keeps fresh
//   "refresh"  POST of a refresh token, or of [token, proof] with that proof each time; its successor joins the end of the queue, so the more
//              sessions there are, the more rarely each is refreshed, as in production
//   "post"     POST of one of `items`, in a cycle, as its body
import autocannon from "autocannon";
import { createHash, createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const job = JSON.parse(readFileSync(0, "utf8"));
const items = job.items;
let next = 0;
const statuses = {};

const cycle = () => items[next++ % items.length];
const queue = () => items[next++]; // A token is sent once; its successor is appended.

const base64url = (value) => Buffer.from(value).toString("base64url");
const url = new URL(job.path, job.url).href;

// What does not change from call to call is made once, as a client does.
const prover = ([token, jwk]) => {
  const { d, ...publicJwk } = jwk;
  const key = createPrivateKey({ key: jwk, format: "jwk" });
  const header = base64url(JSON.stringify({ typ: "dpop+jwt", alg: "ES256", jwk: publicJwk }));
  const ath = createHash("sha256").update(token).digest("base64url");
  return { token, key, header, ath };
};
const provers = job.kind === "prove" ? items.map(prover) : [];
const prove = ({ key, header, ath }) => {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { htm: "GET", htu: url, iat, jti: randomUUID(), nonce: job.nonce, ath };
  const message = `${header}.${base64url(JSON.stringify(claims))}`;
  const signature = sign("sha256", Buffer.from(message), { key, dsaEncoding: "ieee-p1363" });
  return `${message}.${base64url(signature)}`;
};

const posted = (item) => {
  const [token, dpop] = [item].flat();
  const body = JSON.stringify({ [job.field]: token });
  return dpop ? { body, headers: { "content-type": "application/json", dpop } } : { body };
};

const kinds = {
  get: {
    method: "GET",
    setupRequest: (request) => ({ ...request, headers: { authorization: `Bearer ${cycle()}` } }),
  },
  prove: {
    method: "GET",
    setupRequest: (request) => {
      const one = provers[next++ % provers.length];
      return { ...request, headers: { authorization: `DPoP ${one.token}`, dpop: prove(one) } };
    },
  },
  refresh: {
    method: "POST",
    setupRequest: (request, context) => {
      const item = queue();
      context.proof = [item].flat()[1];
      return { ...request, ...posted(item) };
    },
    onResponse: (status, body, context) => {
      if (status !== 200) return;
      const token = JSON.parse(body)[job.field];
      items.push(context.proof ? [token, context.proof] : token);
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
