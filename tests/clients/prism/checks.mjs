// The providers' own API descriptions, served by prism, against the real binary: what the tools ask must not be refused,
// and whatever fits a description must not break a tool. `node checks.mjs [integration …]`, after `npm install` here.
//
// The descriptions are no part of this repository; they are looked for in $CONTRACTS_DIR, else ../shared/contracts beside
// the checkout, and where they are absent nothing is checked, loudly.

import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, request as ask } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

import { BINARY, ROOT, Tally, freePort, until } from "../shared/rig.mjs";

const CONTRACTS = process.env.CONTRACTS_DIR ?? join(ROOT, "../shared/contracts");
const require = createRequire(import.meta.url);
const PRISM = join(dirname(require.resolve("@stoplight/prism-cli/package.json")), "dist/index.js");
/** Whose key or token a person hands in; everything else is connected by a token. */
const KEYS = { sentry: `sntryu_${"0".repeat(64)}` };

/** Whether a path is one that no description covers: `*` is any one segment, `**` all that follow. */
function covers(pattern, path) {
  const shape = pattern.split("/").map((part) => (part === "**" ? ".*" : part === "*" ? "[^/]+" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  return new RegExp(`^${shape.join("/")}$`).test(path);
}

const json = async (path) => JSON.parse(await readFile(path, "utf8"));
const read = async (folder) => (existsSync(folder) ? readdir(folder, { withFileTypes: true }) : []);

/** The cases of an integration: folder (a tool's or block's name), file, content. */
async function cases(integration) {
  const found = [];
  const home = join(ROOT, "fixtures", integration);
  for (const folder of (await read(home)).filter((entry) => entry.isDirectory())) {
    for (const file of (await read(join(home, folder.name))).filter(({ name }) => name.endsWith(".json"))) {
      found.push({ folder: folder.name, name: file.name, ...(await json(join(home, folder.name, file.name))) });
    }
  }
  return found;
}

/** One description, served. */
class Described {
  static async start(file, directory, random) {
    const one = new Described();
    const description = await json(join(CONTRACTS, file));
    one.paths = Object.keys(description.paths).map((path) => {
      const words = path.split(/\{[^}]+\}/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      return { path, shape: new RegExp(`^${words.join("[^/]+")}$`) };
    });
    if (random) description["x-json-schema-faker"] = { optionalsProbability: 0.5, maxItems: 4, "resolve-json-path": false };
    const copy = join(directory, file.replaceAll("/", "-"));
    await writeFile(copy, JSON.stringify(description));
    one.port = await freePort();
    const options = ["mock", "--errors", ...(random ? ["--dynamic"] : []), "--port", String(one.port), "--host", "127.0.0.1", copy];
    one.process = spawn(process.execPath, [PRISM, ...options], { stdio: ["ignore", "pipe", "pipe"] });
    one.said = "";
    for (const stream of [one.process.stdout, one.process.stderr]) stream.on("data", (text) => (one.said = (one.said + text).slice(-4_000)));
    one.ended = new Promise((done) => one.process.on("close", done));
    await until(() => one.said.includes("Prism is listening") || one.process.exitCode !== null, 120);
    if (one.process.exitCode !== null) throw new Error(`prism did not start on ${file}: ${one.said}`);
    return one;
  }

  knows(path) {
    return this.paths.some(({ shape }) => shape.test(path) || shape.test(decodeURIComponent(path)));
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
  }
}

/** All hosts of one provider below one address, as a moved provider has them; every refusal is noted. */
class Provider {
  static async start(integration, table, directory, random) {
    const one = new Provider();
    one.hosts = new Map();
    one.refused = [];
    for (const { host, files } of table) {
      one.hosts.set(host, await Promise.all(files.map((file) => Described.start(file, directory, random))));
    }
    one.server = createServer((from, to) => one.#pass(from, to));
    await new Promise((done) => one.server.listen(0, "127.0.0.1", done));
    one.url = `http://127.0.0.1:${one.server.address().port}/${integration}`;
    one.prefix = `/${integration}`;
    return one;
  }

  #pass(from, to) {
    const [path, query = ""] = from.url.slice(this.prefix.length).split("?");
    const named = [...this.hosts.keys()].find((host) => host && path.startsWith(`/${host}/`));
    const rest = named ? path.slice(named.length + 1) : path;
    const all = this.hosts.get(named ?? "") ?? [];
    const one = all.find((described) => described.knows(rest)) ?? all[0];
    if (!one) return to.writeHead(404).end();
    const headers = { ...from.headers, host: `127.0.0.1:${one.port}` };
    const options = { host: "127.0.0.1", port: one.port, method: from.method, path: query ? `${rest}?${query}` : rest, headers };
    const passed = ask(options, (answer) => {
      const wrong = answer.headers["sl-violations"];
      const requestIsWrong = wrong && JSON.parse(wrong).some(({ location }) => location?.[0] === "request");
      if (requestIsWrong || (answer.statusCode >= 400 && answer.statusCode !== 404 && wrong)) {
        this.refused.push(`${from.method} ${named ?? ""}${rest}?${query}: ${answer.statusCode} ${wrong}`);
      }
      to.writeHead(answer.statusCode, answer.headers);
      answer.pipe(to);
    });
    passed.on("error", () => to.writeHead(502).end());
    from.pipe(passed);
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    for (const described of this.hosts.values()) await Promise.all(described.map((one) => one.stop()));
  }
}

/** A body as a fixture writes it, and its media type. */
function body(value) {
  if (value === undefined) return {};
  if (typeof value !== "string") return { body: JSON.stringify(value), type: "application/json" };
  if (value.startsWith("base64:")) return { body: Buffer.from(value.slice(7), "base64"), type: "application/octet-stream" };
  const boundary = value.match(/^--(\S+)\r?\n/)?.[1];
  return { body: value, type: boundary ? `multipart/related; boundary=${boundary}` : "text/plain" };
}

/** Every request of the fixtures, which are exactly what the tools send, is one that the description takes. */
async function replay(tally, integration, table, directory, outside) {
  const provider = await Provider.start(integration, table, directory, false);
  const wrong = [];
  let asked = 0;
  for (const { folder, name, upstream = [] } of await cases(integration)) {
    for (const { request, response } of upstream) {
      // What the provider itself refuses as wrong was wrong on purpose.
      if (response.broken || [400, 422].includes(response.status)) continue;
      if (outside.some((pattern) => covers(pattern, request.path))) continue;
      const { body: sent, type } = body(request.body);
      const query = new URLSearchParams(request.query ?? {}).toString();
      const headers = { authorization: "Bearer REDACTED", accept: "application/json", ...(type && { "content-type": type }) };
      const answer = await fetch(`${provider.url}${request.path}${query && `?${query}`}`, { method: request.method, headers, body: sent, redirect: "manual" });
      await answer.arrayBuffer();
      asked += 1;
      if (answer.status >= 400) {
        wrong.push(`${folder}/${name}: ${request.method} ${request.path}?${query}: ${answer.status} ${answer.headers.get("sl-violations") ?? ""}`);
      }
    }
  }
  await provider.stop();
  tally.check(`${integration}: ${asked} requests, none refused`, asked > 0 && wrong.length === 0, wrong.slice(0, 20).join("\n"));
}

/** The product over a provider that answers anything its description allows. */
class Product {
  static async start(integration, provider, directory) {
    const one = new Product();
    const port = await freePort();
    const name = integration.toUpperCase();
    one.environment = {
      PATH: process.env.PATH,
      WORKBENCH_DATA_DIR: join(directory, "data"),
      WORKBENCH_LISTEN: `127.0.0.1:${port}`,
      WORKBENCH_LOG: "warn",
      [`WORKBENCH_PROVIDER_${name}_API_URL`]: provider.url,
      [`WORKBENCH_PROVIDER_${name}_AUTH_URL`]: provider.url,
    };
    one.url = `http://127.0.0.1:${port}/`;
    one.process = spawn(BINARY, ["serve"], { env: one.environment, stdio: ["ignore", "ignore", "pipe"] });
    one.said = "";
    one.process.stderr.on("data", (text) => (one.said += text));
    one.ended = new Promise((done) => one.process.on("close", done));
    await until(() => fetch(`${one.url}readyz`).then(({ ok }) => ok, () => one.process.exitCode !== null), 30);
    if (one.process.exitCode !== null) throw new Error(`serve did not start: ${one.said}`);
    await one.#run("users", "add", "alice@example.test", "--admin");
    const [made] = await one.#run("tokens", "create", "alice@example.test");
    one.token = made.token ?? made.secret ?? Object.values(made).find((value) => String(value).startsWith("wbt_"));
    return one;
  }

  /** Hands a credential in; the provider's random answer says whose it is. */
  async connect(integration, scopes, directory) {
    const file = join(directory, "credential.json");
    const credential = KEYS[integration] ? { api_key: KEYS[integration] } : { access_token: "REDACTED", expires_in: 86_400, ...(scopes && { scopes }) };
    await writeFile(file, JSON.stringify(credential));
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#run("connections", "import", integration, "--user", "alice@example.test", "--credential-file", file);
      } catch (error) {
        // Some random answers are no account at all.
        if (tries === 10) throw error;
      }
    }
  }

  async #run(...args) {
    const { stdout } = await promisify(execFile)(BINARY, [...args, "--json"], { env: this.environment });
    return stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  async request(method, params) {
    const meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "prism checks", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const name = params.name ?? params.uri;
    const answer = await fetch(`${this.url}mcp`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${this.token}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        ...(name && { "mcp-name": name }),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } }),
    });
    const text = await answer.text();
    const data = text.startsWith("{") ? text : text.split("\n").filter((line) => line.startsWith("data:")).at(-1)?.slice(5);
    return JSON.parse(data ?? "null");
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
  }
}

/** Random answers that fit the description: no tool or block panics or fails by our own fault. */
async function random(tally, integration, table, directory) {
  const provider = await Provider.start(integration, table, directory, true);
  const product = await Product.start(integration, provider, directory);
  const account = await json(join(ROOT, "fixtures", integration, "account.json")).catch(() => ({}));
  if (account.account) await product.connect(integration, account.scopes, directory);
  const codes = {};
  const wrong = [];
  const note = (what, code, detail) => {
    codes[code] = (codes[code] ?? 0) + 1;
    if (["internal", "unknown_tool", "protocol"].includes(code)) wrong.push(`${what}: ${code} ${detail}`);
  };
  for (const { folder, name, args, uri, field, dry_run } of await cases(integration)) {
    if (folder === "identify" || field) continue;
    const what = `${folder}/${name}`;
    if (uri) {
      // The handle in a fixture's address is not the random account's; only its own part counts.
      const own = product.handle ?? (product.handle = await handle(product, integration));
      const at = own === null ? uri : uri.replace(/^([a-z0-9]+:\/\/)[^/]+/, `$1${encodeURIComponent(own)}`);
      const answer = await product.request("resources/read", { uri: at });
      note(what, answer?.error?.data?.code ?? (answer?.result ? "ok" : "protocol"), JSON.stringify(answer)?.slice(0, 300));
      continue;
    }
    const answer = await product.request("tools/call", { name: folder, arguments: { ...args, ...(dry_run && { dry_run }) } });
    const content = answer?.result?.structuredContent;
    note(what, content?.error?.code ?? (answer?.result ? "ok" : answer?.error?.data?.code ?? "protocol"), JSON.stringify(answer)?.slice(0, 300));
  }
  console.log(`${integration}: ${JSON.stringify(codes)}`);
  await product.stop();
  await provider.stop();
  tally.check(`${integration}: random answers break nothing`, codes.ok > 0 && wrong.length === 0, wrong.slice(0, 20).join("\n"));
  tally.check(`${integration}: no panic in the log`, !/panic/i.test(product.said), product.said.slice(-2_000));
  tally.check(`${integration}: no request of a tool was refused`, provider.refused.length === 0, [...new Set(provider.refused)].slice(0, 20).join("\n"));
}

/** How addresses of blocks call the account; null where there is none. */
async function handle(product, integration) {
  const answer = await product.request("resources/read", { uri: "workbench://accounts" });
  const { accounts } = JSON.parse(answer.result.contents[0].text);
  const own = accounts.find((one) => one.integration === integration);
  return own?.account ?? null;
}

const tally = new Tally();
if (!existsSync(CONTRACTS)) {
  console.log(`SKIPPED: the providers' descriptions are not in ${basename(CONTRACTS)}; set CONTRACTS_DIR`);
  console.log("prism: 0 passed, 0 failed");
} else {
  const { hosts, outside } = await json(join(ROOT, "tests/contracts.json"));
  const wanted = process.argv.slice(2);
  for (const integration of [...new Set(hosts.map(({ integration }) => integration))]) {
    if (wanted.length && !wanted.includes(integration)) continue;
    const table = hosts.filter((host) => host.integration === integration && host.files.every((file) => file.endsWith(".json")));
    const exempt = outside.filter((one) => one.integration === integration).map(({ path }) => path);
    const directory = await mkdtemp(join(tmpdir(), "workbench-prism-"));
    try {
      await replay(tally, integration, table, directory, exempt);
      await random(tally, integration, table, directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  tally.end("prism");
}
