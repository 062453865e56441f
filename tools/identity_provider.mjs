// npm oidc-provider, a certified OpenID Connect provider, on loopback: for the demo and for tests.
// Anybody signs in, by any name and password. What it knows is gone when its process ends.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import MemoryAdapter from "oidc-provider/lib/adapters/memory_adapter.js";
import { showError, showInteraction, deviceFlow, rpInitiatedLogout } from "./identity_provider_pages.mjs";

if (!URL.parse) { // Set-up is content with Node.js 18, oidc-provider is not.
  console.log(`oidc-provider needs a later Node.js than ${process.version}`);
  process.exit(1);
}

const DEFAULTS = {
  host: "127.0.0.1", // Or localhost, which is another site to a browser.
  port: 0, // A free one.
  clients: () => [], // Returns their metadata, given these options; asked at each request.
  origins: [], // May call from a browser.
  api_scopes: ["notes"], // Beside those of OpenID Connect.
  access_ttl: 300, refresh_ttl: 86_400, id_token_ttl: 3600, session_ttl: 86_400, device_ttl: 600, // s
  rotate: true, // A refresh token is good for one refresh.
  always_refresh: false, // Refresh tokens without offline_access, and so without prompt=consent.
  dpop_nonces: "required", // Or offered, or none.
};

const REFRESHED = ["authorization_code", "refresh_token"];

/** Return the metadata of a client in a browser, which has no secret. */
export const publicClient = (client_id, more) => ({
  client_id, application_type: "web", token_endpoint_auth_method: "none",
  response_types: ["code"], grant_types: REFRESHED, ...more,
});

/** Return the metadata of a server, which has a secret. */
export const confidentialClient = (client_id, client_secret, more) => ({
  client_id, client_secret, response_types: ["code"], grant_types: REFRESHED, ...more,
});

/**
 * Start a provider; what is changed in its `options` later, takes effect at once.
 * Returns its issuer, its options, oidc-provider's own object, and what it stores by kind and id.
 */
export async function startProvider(given, ...middleware) {
  const options = { ...DEFAULTS, ...given };
  const server = createServer();
  await new Promise((ready) => server.listen(options.port, "127.0.0.1", ready));
  const { port } = server.address();
  const issuer = `http://${options.host}:${port}`;
  const stored = new Map();
  const provider = new Provider(issuer, configuration(options, port, stored));
  provider.on("server_error", (_, error) => console.error(error));
  for (const one of [...middleware, interactions(provider)]) provider.use(one);
  server.on("request", provider.callback());
  return { issuer, options, provider, stored };
}

function configuration(options, port, stored) {
  const key = (type, how, alg) => {
    const { privateKey } = generateKeyPairSync(type, how);
    return { ...privateKey.export({ format: "jwk" }), use: "sig", alg, kid: alg };
  };
  // Cookies are shared by all ports of a host.
  const names = ["session", "interaction", "resume"].map((name) => [name, `${name}_${port}`]);
  return {
    adapter: (kind) => (kind === "Client" ? registry(options) : new MemoryAdapter(kind, stored)),
    jwks: { keys: [
      key("rsa", { modulusLength: 2048 }, "RS256"), key("ec", { namedCurve: "P-256" }, "ES256"),
    ] },
    cookies: { keys: [randomBytes(32).toString("hex")], names: Object.fromEntries(names) },
    clientBasedCORS: (_, origin) => options.origins.includes(origin),
    pkce: { required: () => true },
    clockTolerance: 0,
    scopes: ["openid", "offline_access", "profile", "email", ...options.api_scopes],
    claims: { profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false, // Who it is stands in the ID token, as other providers have it.
    extraParams: ["audience"],
    findAccount: (_, id) => ({ accountId: id, claims: () => claimsOf(id) }),
    rotateRefreshToken: () => options.rotate,
    issueRefreshToken: (_, client, code) => client.grantTypeAllowed("refresh_token")
      && (options.always_refresh || code.scopes.has("offline_access")),
    ttl: {
      AccessToken: () => options.access_ttl, RefreshToken: () => options.refresh_ttl,
      IdToken: () => options.id_token_ttl, Session: () => options.session_ttl,
      DeviceCode: () => options.device_ttl, Grant: 86_400, Interaction: 600,
    },
    renderError: showError,
    features: {
      devInteractions: { enabled: false }, // Its pages load a font from elsewhere.
      deviceFlow, rpInitiatedLogout, revocation: { enabled: true }, userinfo: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: (_, client, token) => !client.grantTypes.length || client.clientId === token.clientId,
      },
      dPoP: {
        enabled: true, nonceSecret: options.dpop_nonces === "none" ? undefined : randomBytes(32),
        requireNonce: () => options.dpop_nonces === "required",
      },
      resourceIndicators: resourceIndicators(options),
    },
  };
}

const registry = (options) => ({
  find: async (id) => options.clients(options).find(({ client_id }) => client_id === id),
});

const claimsOf = (id) => ({
  sub: id, name: `Name of ${id}`, preferred_username: id, email: `${id}@example.com`, email_verified: true,
});

// An access token for an API is a JWT; the end of the API's name can say otherwise.
function resourceIndicators(options) {
  const format = (resource) => {
    if (resource.endsWith("/opaque")) return { accessTokenFormat: "opaque" };
    return { accessTokenFormat: "jwt", jwt: { sign: { alg: resource.endsWith("/es") ? "ES256" : "RS256" } } };
  };
  return {
    enabled: true,
    defaultResource: (ctx, _, granted) => granted ?? (ctx.oidc.params?.audience || undefined),
    useGrantedResource: () => true, // Or a token request would have to name the resource again.
    getResourceServerInfo: (_, resource) => ({
      scope: options.api_scopes.join(" "), audience: resource, accessTokenTTL: options.access_ttl, ...format(resource),
    }),
  };
}

const interactions = (provider) => async (ctx, next) => {
  if (!ctx.path.startsWith("/interaction/")) return next();
  const details = await provider.interactionDetails(ctx.req, ctx.res);
  if (ctx.method === "GET") return showInteraction(ctx, details);
  const form = await readForm(ctx.req);
  const result = await (form.get("answer") === "yes" ? agreed(provider, details, form) : REFUSED);
  ctx.status = 303;
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
};

const REFUSED = { error: "access_denied", error_description: "The person has cancelled." };

async function agreed(provider, { prompt, params, session, grantId }, form) {
  if (prompt.name === "login") return { login: { accountId: form.get("login") } };
  const grant = await provider.Grant.find(grantId ?? "")
    ?? new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope = [], missingOIDCClaims = [], missingResourceScopes = {} } = prompt.details;
  grant.addOIDCScope(missingOIDCScope.join(" "));
  grant.addOIDCClaims(missingOIDCClaims);
  for (const [name, scopes] of Object.entries(missingResourceScopes)) grant.addResourceScope(name, scopes.join(" "));
  return { consent: { grantId: await grant.save() } };
}

async function readForm(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
