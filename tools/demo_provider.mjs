// An identity provider for the demo, beside a command that serves it. It ends with the command, whose
// environment says how people sign in with it.
//
// Usage: node tools/demo_provider.mjs <port, or 0> <origin of the page> <command> [<argument> ...]
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { confidentialClient, publicClient, startProvider } from "./identity_provider.mjs";

const CLIENT = "unexpired-demo"; // A page.
const SERVER = "unexpired-demo-server";
const ACCESS_TTL = 20; // s, like the tokens of the demo's own server.

const [port, page, command, ...args] = process.argv.slice(2);
const secret = randomBytes(32).toString("base64url");
const clients = () => [
  publicClient(CLIENT, { redirect_uris: [`${page}/`], post_logout_redirect_uris: [`${page}/`] }),
  confidentialClient(SERVER, secret, { redirect_uris: [`${page}/api/login/provider/callback`] }),
];
const { issuer } = await startProvider({
  port: Number(port), clients, origins: [page], access_ttl: ACCESS_TTL,
});
console.log(`${issuer}  identity provider; client ${CLIENT}, any name and password`);

const settings = {
  UNEXPIRED_PUBLIC_URL: page,
  UNEXPIRED_LOGIN_WITH: issuer,
  UNEXPIRED_LOGIN_WITH_CLIENT_ID: SERVER,
  UNEXPIRED_LOGIN_WITH_CLIENT_SECRET: secret,
  UNEXPIRED_LOGIN_WITH_LABEL: "oidc-provider",
};
const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, ...settings } });
process.on("SIGINT", () => {}); // A terminal sends it to both, and the command decides.
process.on("SIGTERM", () => child.kill());
child.on("exit", (code) => process.exit(code ?? 1));
