// Other people's implementations of RFC 9449, asked by lines of JSON: {"ask": name, …} → the answer.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import * as dpop from "dpop";
import * as jose from "jose";
import * as oauth from "oauth4webapi";

const ALGORITHM = "ES256";
const CLIENT = { client_id: "judge" };
const OVER_HTTP = { [oauth.allowInsecureRequests]: true };
const keys = {
  jose: await jose.generateKeyPair(ALGORITHM, { extractable: true }),
  dpop: await dpop.generateKeyPair(ALGORITHM),
  oauth4webapi: await oauth.generateKeyPair(ALGORITHM),
};

// -- Proofs of ours ---------------------------------------------------------------------------------

async function joseAccepts({ proof }) {
  const { payload, protectedHeader } = await jose.jwtVerify(proof, jose.EmbeddedJWK, {
    algorithms: [ALGORITHM], typ: "dpop+jwt", maxTokenAge: 60, clockTolerance: 5,
    requiredClaims: ["iat", "jti", "htm", "htu"],
  });
  return { claims: payload, thumbprint: await jose.calculateJwkThumbprint(protectedHeader.jwk) };
}

// As a resource server that knows our public keys sees the request.
async function oauthAccepts({ issuer, audience, jwks, method, url, headers }) {
  const claims = await oauth.validateJwtAccessToken(
    { issuer, jwks_uri: "https://keys.example/jwks" },
    new Request(url, { method, headers }),
    audience,
    {
      requireDPoP: true, signingAlgorithms: [ALGORITHM],
      [oauth.customFetch]: async () => Response.json(jwks),
    },
  );
  return { claims };
}

// -- Proofs of theirs -------------------------------------------------------------------------------

async function joseProves({ method, url, nonce, accessToken }) {
  const jwk = await jose.exportJWK(keys.jose.publicKey);
  const ath = accessToken && (await digest(accessToken));
  return new jose.SignJWT({ htm: method, htu: url, jti: crypto.randomUUID(), nonce, ath })
    .setProtectedHeader({ typ: "dpop+jwt", alg: ALGORITHM, jwk })
    .setIssuedAt()
    .sign(keys.jose.privateKey);
}

async function digest(text) {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return jose.base64url.encode(new Uint8Array(bytes));
}

async function prove({ by, ...request }) {
  if (by === "jose") return { proof: await joseProves(request) };
  const { url, method, nonce, accessToken } = request;
  return { proof: await dpop.generateProof(keys.dpop, url, method, nonce, accessToken) };
}

async function thumbprint({ by }) {
  return { thumbprint: await jose.calculateJwkThumbprint(await jose.exportJWK(keys[by].publicKey)) };
}

// -- Their client with our server -------------------------------------------------------------------

// Our endpoints speak JSON in camel case; everything about the proof stays as the library has it.
function inJson(log) {
  return async (url, { body, headers, ...rest }) => {
    const { refresh_token: refreshToken, username, password } = Object.fromEntries(body);
    const response = await fetch(url, {
      ...rest, headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ refreshToken, username, password }),
    });
    log.push([new URL(url).pathname, response.status]);
    if (!response.ok) return response;
    const tokens = await response.json();
    return Response.json({
      access_token: tokens.accessToken, refresh_token: tokens.refreshToken,
      token_type: tokens.tokenType, expires_in: tokens.expiresIn,
    }, { headers: response.headers });
  };
}

async function withNonce(request) { // As oauth4webapi's own examples do.
  try {
    return await request();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return request();
  }
}

// Signs in, calls, refreshes and calls again; returns what was sent, with its status. A forgetful
// client starts each time with the same key and without the nonce that it was given before.
async function session({ server, username, password, forgetful }) {
  const log = [];
  const handle = () => oauth.DPoP(CLIENT, keys.oauth4webapi);
  let options = { DPoP: handle(), [oauth.customFetch]: inJson(log), ...OVER_HTTP };
  const forget = () => { if (forgetful) options = { ...options, DPoP: handle() }; };
  const grant = (path, kind, parameters) => withNonce(async () => {
    const endpoint = { issuer: server, token_endpoint: server + path };
    const response = await oauth.genericTokenEndpointRequest(endpoint, CLIENT, oauth.None(), kind, parameters, options);
    return oauth.processGenericTokenEndpointResponse(endpoint, CLIENT, response);
  });
  const call = (token) => withNonce(async () => {
    const url = new URL(`${server}/api/me?some=query`);
    const recorded = async (...request) => {
      const response = await fetch(...request);
      log.push([url.pathname, response.status]);
      return response;
    };
    return oauth.protectedResourceRequest(token, "GET", url, undefined, null, { ...options, [oauth.customFetch]: recorded });
  });
  let tokens = await grant("/api/login", "password", { username, password });
  forget();
  await call(tokens.access_token);
  forget();
  tokens = await grant("/api/refresh", "refresh_token", { refresh_token: tokens.refresh_token });
  forget();
  await call(tokens.access_token);
  return { log, tokenType: tokens.token_type };
}

function versions() {
  const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
  return Object.fromEntries(["jose", "oauth4webapi", "dpop", "oidc-provider"].map((name) => [name, version(name)]));
}

const answers = { joseAccepts, oauthAccepts, prove, thumbprint, session, versions };
for await (const line of createInterface({ input: process.stdin })) {
  const { ask, ...request } = JSON.parse(line);
  let answer;
  try {
    answer = await answers[ask](request);
  } catch (error) {
    answer = { refused: `${error.code ?? error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
}
