// npm oidc-provider for tests: clients of every kind, and what a test needs beside the protocol.
//
// Usage: node tests/support/oidc_provider.mjs '<options as JSON>'
// It prints its issuer when it listens, and ends when its standard input does.
import { confidentialClient, publicClient, startProvider } from "../../tools/identity_provider.mjs";

const options = {
  redirect_uris: [], post_logout_redirect_uris: [], // of the clients in a browser
  server_redirect_uris: [], server_post_logout_redirect_uris: [],
  loopback_paths: ["/callback"], // of the client that is installed; any port
  slow: 0, // Responses of the token endpoint come so many ms later.
  failing: {}, // A status by path, in place of an answer.
  lost_responses: 0, // So many token requests are carried out, and get no answer.
  headers: {}, // Added to each response, such as cross-origin-opener-policy.
  ...JSON.parse(process.argv[2] ?? "{}"),
  clients,
};
const log = [];

function clients({ redirect_uris, post_logout_redirect_uris, loopback_paths, ...server }) {
  const inBrowser = (id, more) => publicClient(id, { redirect_uris, post_logout_redirect_uris, ...more });
  const installed = (id, more) => publicClient(id, {
    application_type: "native", redirect_uris: loopback_paths.map((path) => `http://127.0.0.1${path}`), ...more,
  });
  return [
    inBrowser("spa"),
    inBrowser("spa-dpop", { dpop_bound_access_tokens: true }),
    inBrowser("spa-es", { id_token_signed_response_alg: "ES256" }),
    installed("native"),
    installed("native-dpop", { dpop_bound_access_tokens: true }),
    publicClient("device", {
      application_type: "native", redirect_uris: [], response_types: [],
      grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    }),
    confidentialClient("server", "server-secret", {
      redirect_uris: server.server_redirect_uris,
      post_logout_redirect_uris: server.server_post_logout_redirect_uris,
    }),
    // An API, which only introspects.
    confidentialClient("api", "api-secret", { redirect_uris: [], response_types: [], grant_types: [] }),
  ];
}

const hooks = {
  log: () => log.splice(0),
  change: (changes) => Object.assign(running.options, changes),
  // The provider no longer knows what it has stored of a kind: Session, Grant, RefreshToken, …
  forget: ({ kind }) => {
    for (const key of running.stored.keys()) if (key.startsWith(`${kind}:`)) running.stored.delete(key);
  },
};

async function answerHooks(ctx, next) {
  if (!ctx.path.startsWith("/__")) return next();
  const chunks = [];
  for await (const chunk of ctx.req) chunks.push(chunk);
  ctx.body = hooks[ctx.path.slice(3)](JSON.parse(Buffer.concat(chunks))) ?? {};
}

async function misbehave(ctx, next) {
  const { failing, slow, headers } = running.options;
  ctx.set(headers);
  if (failing[ctx.path]) {
    ctx.status = failing[ctx.path];
    return;
  }
  await next();
  if (ctx.path !== "/token" || ctx.method !== "POST") return;
  if (slow) await new Promise((done) => setTimeout(done, slow));
  if (running.options.lost_responses > 0) {
    running.options.lost_responses -= 1;
    ctx.req.socket.destroy();
  }
}

async function record(ctx, next) {
  await next();
  const { error, error_description } = ctx.body ?? {};
  log.push({
    method: ctx.method, path: ctx.path, status: ctx.status, origin: ctx.get("origin"),
    client: ctx.oidc?.client?.clientId, grant: ctx.oidc?.params?.grant_type, error, error_description,
  });
}

const running = await startProvider(options, answerHooks, record, misbehave);
process.stdin.resume().on("end", () => process.exit());
console.log(running.issuer);
