// Runs the official MCP conformance suite's authorization-server scenarios against a running server:
//
//   node tests/conformance/authorization.mjs --mcp http://127.0.0.1:8321/mcp --token wbt_… --suite PATH [--out DIR]
//
// The suite prints an address for a person to visit and waits at a loopback port of its own; a plain HTTP browser signs in
// there with the token and allows the client. Needs Node 22.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { Browser } from "../clients/shared/rig.mjs";

const { values: options } = parseArgs({
  options: {
    mcp: { type: "string" },
    token: { type: "string" },
    suite: { type: "string" },
    out: { type: "string" },
  },
});
if (!options.mcp || !options.token || !options.suite) {
  console.error("usage: authorization.mjs --mcp URL --token TOKEN --suite PATH [--out DIR]");
  process.exit(2);
}

const out = options.out ?? mkdtempSync(join(tmpdir(), "mcp-authorization-"));
const resource = await json(new URL("/.well-known/oauth-protected-resource/mcp", options.mcp));
const issuer = resource.authorization_servers[0];
const metadata = await json(`${issuer}/.well-known/oauth-authorization-server`);
const port = await freePort();
const registered = await json(metadata.registration_endpoint, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ client_name: "Conformance", redirect_uris: [`http://127.0.0.1:${port}/callback`] }),
});

// Without `--scenario`: the second scenario uses what the first one found.
const args = [options.suite, "authorization", "--url", issuer, "--client-id", registered.client_id];
args.push("--resource", options.mcp, "-p", String(port), "-o", out);
const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
const patience = setTimeout(() => child.kill(), 90_000);
let output = "";
let visited;
const failures = [];
for (const stream of [child.stdout, child.stderr]) stream.on("data", hear);
const code = await new Promise((done) => child.on("close", done));
clearTimeout(patience);
await visited;

let passed = 0;
for (const check of checks(out)) {
  if (check.status === "SUCCESS") passed += 1;
  if (check.status === "FAILURE") failures.push(`${check.id}: ${check.errorMessage ?? check.description}`);
}
if (code !== 0 && failures.length === 0) failures.push(`the suite exited with ${code}\n${output.slice(-4_000)}`);
if (!visited) failures.push(`the suite sent nobody to sign in\n${output.slice(-4_000)}`);
for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length === 0 && passed > 0 ? 0 : 1);

/** Visits the address that the suite prints, once. */
function hear(text) {
  output += text;
  const address = output.replace(/\x1b\[[0-9;]*m/g, "").match(/https?:\/\/\S+\/oauth\/authorize\?\S+(?=\s)/)?.[0];
  if (visited || !address) return;
  visited = new Browser().allow(address, options.token).catch((error) => failures.push(String(error)));
}

async function json(url, request) {
  const answer = await fetch(url, request);
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Every check of every scenario that ran. */
function checks(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return checks(path);
    return name === "checks.json" ? JSON.parse(readFileSync(path, "utf8")) : [];
  });
}
