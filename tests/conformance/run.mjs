// Runs the official MCP conformance suite against a running server that was built with `--features conformance`:
//
//   node tests/conformance/run.mjs --mcp http://127.0.0.1:8321/mcp --token wbt_… [--suite PATH] [--out DIR] [--revision R]…
//
// The suite cannot send an Authorization header, so it talks to a proxy on loopback, which adds the token and streams both
// ways. Every scored check of both requirement sets must pass. `--suite` is the suite's `dist/index.js`, by default that of
// the package `@modelcontextprotocol/conformance` (0.2.0-alpha.12) as it is found from the working directory. Needs Node 22.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, statSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    mcp: { type: "string" },
    token: { type: "string" },
    suite: { type: "string" },
    out: { type: "string" },
    revision: { type: "string", multiple: true, default: ["2025-11-25", "2026-07-28"] },
  },
});
if (!options.mcp || !options.token) {
  console.error("usage: run.mjs --mcp URL --token TOKEN [--suite PATH] [--out DIR] [--revision R]…");
  process.exit(2);
}
if (Number(process.versions.node.split(".")[0]) < 22) {
  console.error(`the suite needs Node 22 or newer, this is ${process.versions.node}`);
  process.exit(2);
}

const target = new URL(options.mcp);
const suite = options.suite ?? findSuite();
const out = options.out ?? mkdtempSync(join(tmpdir(), "mcp-conformance-"));

const proxy = await startProxy();
const url = `http://127.0.0.1:${proxy.address().port}${target.pathname}`;
let passed = 0;
const failures = [];
for (const revision of options.revision) {
  const folder = join(out, revision);
  const { output, code } = await runSuite(revision, folder);
  const checks = readChecks(folder);
  const unscored = unscoredScenarios(output);
  let here = 0;
  for (const { scenario, check } of checks) {
    const scored = !unscored.has(scenario);
    if (check.status === "SUCCESS") here += 1;
    else if (check.status === "FAILURE" && scored) {
      failures.push(`${revision} ${scenario}: ${check.id}: ${check.errorMessage ?? check.description}`);
    }
  }
  passed += here;
  // A scenario that never ran leaves no check behind, so the suite's own verdict counts as well.
  if (code !== 0 && !failures.some((line) => line.startsWith(revision))) {
    failures.push(`${revision}: the suite exited with ${code}\n${output.slice(-4000)}`);
  }
  if (here === 0) failures.push(`${revision}: no check ran\n${output.slice(-4000)}`);
  console.log(`${revision}: ${here} checks passed, suite exit code ${code}, results in ${folder}`);
}
proxy.close();
proxy.closeAllConnections();
for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length === 0 ? 0 : 1);

/** Adds the token to each request and passes bytes on as they come, both ways. */
function startProxy() {
  const client = target.protocol === "https:" ? https : http;
  const server = http.createServer((request, response) => {
    const upstream = client.request(
      {
        host: target.hostname,
        port: target.port,
        method: request.method,
        path: request.url,
        // Host and Origin stay as the suite wrote them: it tests what the server makes of them.
        headers: { ...request.headers, authorization: `Bearer ${options.token}` },
        setHost: false,
      },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
        answer.on("error", () => response.destroy());
      },
    );
    upstream.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
    // The suite hangs up on streams; the server must notice.
    response.on("close", () => upstream.destroy());
    request.pipe(upstream);
  });
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server)));
}

function runSuite(revision, folder) {
  const args = [suite, "server", "--url", url, "--requirements", revision, "-o", folder];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
  return new Promise((done) => child.on("close", (code) => done({ output, code })));
}

/** Every check of every scenario that ran. */
function readChecks(folder) {
  const found = [];
  const walk = (path) => {
    for (const name of existsSync(path) ? readdirSync(path) : []) {
      const entry = join(path, name);
      if (statSync(entry).isDirectory()) walk(entry);
      else if (name === "checks.json") {
        // Folders are called `server-<scenario>-<time>`.
        const scenario = path.split("/").pop().replace(/^server-/, "").replace(/-\d{4}-\d{2}-\d{2}T.*$/, "");
        for (const check of JSON.parse(readFileSync(entry, "utf8"))) found.push({ scenario, check });
      }
    }
  };
  walk(folder);
  return found;
}

/** The scenarios that the suite reports without counting them. */
function unscoredScenarios(output) {
  const names = new Set();
  let inSection = false;
  for (const line of output.split("\n")) {
    const plain = line.replace(/\x1b\[[0-9;]*m/g, "");
    if (/not scored|never scored|unscored/i.test(plain)) inSection = true;
    const name = plain.match(/^\s*[✓✗-]?\s*([a-z0-9][a-z0-9/-]+)\b/);
    if (inSection && name) names.add(name[1]);
  }
  return names;
}

function findSuite() {
  const require = createRequire(join(process.cwd(), "package.json"));
  try {
    return require.resolve("@modelcontextprotocol/conformance");
  } catch {
    const found = resolve(dirname(process.execPath), "../../@modelcontextprotocol/conformance/dist/index.js");
    if (existsSync(found)) return found;
    console.error("the package @modelcontextprotocol/conformance is not installed; name its dist/index.js with --suite");
    process.exit(2);
  }
}
