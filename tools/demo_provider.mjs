// An identity provider for the demo page, beside a command that serves the page. It ends with it.
//
// Usage: node tools/demo_provider.mjs <port, or 0> <origin of the page> <command> [<argument> ...]
import { spawn } from "node:child_process";
import { publicClient, startProvider } from "./identity_provider.mjs";

const CLIENT = "unexpired-demo";
const ACCESS_TTL = 20; // s, like the tokens of the demo's own server.

const [port, page, command, ...args] = process.argv.slice(2);
const clients = () => [publicClient(CLIENT, {
  redirect_uris: [`${page}/`], post_logout_redirect_uris: [`${page}/`],
})];
const { issuer } = await startProvider({
  port: Number(port), clients, origins: [page], access_ttl: ACCESS_TTL,
});
console.log(`${issuer}  identity provider; client ${CLIENT}, any name and password`);

const child = spawn(command, args, { stdio: "inherit" });
process.on("SIGINT", () => {}); // A terminal sends it to both, and the command decides.
process.on("SIGTERM", () => child.kill());
child.on("exit", (code) => process.exit(code ?? 1));
