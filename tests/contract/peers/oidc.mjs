// npm oidc-provider: its token endpoint with rotation, its revocation, and its userinfo as the API.
// The password grant, which it does not have, is added, for that is what Dialect.oauth() signs in by.
// The client "notes-dpop" must prove its key (RFC 9449), each time with a nonce of the server's.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import Provider, { errors } from "oidc-provider";
import validateDpop from "oidc-provider/lib/helpers/validate_dpop.js"; // As its own grants do.

if (!URL.parse) { // Set-up is content with Node.js 18, oidc-provider is not.
  console.log(`oidc-provider needs a later Node.js than ${process.version}`);
  process.exit();
}
const { PASSWORD } = process.env;
const SCOPE = "openid offline_access";
const ttl = { AccessToken: 300, RefreshToken: 600, Grant: 600 };
let account = "ada"; // or "", once it is disabled

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(url, {
    clients: ["notes", "notes-dpop"].map((client_id) => ({
      client_id, token_endpoint_auth_method: "none", response_types: [], redirect_uris: [],
      grant_types: ["refresh_token", "password"], dpop_bound_access_tokens: client_id === "notes-dpop",
    })),
    features: {
      devInteractions: { enabled: false }, revocation: { enabled: true }, userinfo: { enabled: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    },
    findAccount: (_, id) => (id === account ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
    rotateRefreshToken: true,
    clockTolerance: 0,
    ttl: Object.fromEntries(Object.keys(ttl).map((kind) => [kind, () => ttl[kind]])),
    cookies: { keys: ["a key for tests"] },
  });

  provider.registerGrantType("password", async (ctx) => {
    const { client, params } = ctx.oidc;
    const proof = await validateDpop(provider, ctx);
    if (client.dpopBoundAccessTokens && !proof) throw new errors.InvalidGrant("DPoP proof JWT not provided");
    if (params.username !== account || params.password !== PASSWORD) throw new errors.InvalidGrant("invalid credentials");
    const accountId = params.username;
    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    grant.addOIDCScope(SCOPE);
    const common = { accountId, client, scope: SCOPE, claims: {}, gty: "password", grantId: await grant.save() };
    const access = new provider.AccessToken(common);
    const refresh = new provider.RefreshToken(common);
    if (proof) [access, refresh].forEach((token) => token.setThumbprint("jkt", proof.thumbprint));
    ctx.oidc.entity("AccessToken", access);
    ctx.oidc.entity("RefreshToken", refresh);
    ctx.body = {
      access_token: await access.save(), refresh_token: await refresh.save(),
      expires_in: access.expiration, token_type: access.tokenType, scope: SCOPE,
    };
  }, ["username", "password"]);

  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith("/test/")) return next();
    const what = ctx.path.slice("/test/".length);
    account = what === "disable" ? "" : "ada";
    ttl.AccessToken = what === "short" || what === "brief" ? 1 : 300;
    ttl.RefreshToken = what === "brief" ? 1 : 600;
    ctx.status = 204;
    return undefined;
  });
  server.on("request", provider.callback());
  console.log(url);
});
