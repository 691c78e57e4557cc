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
/** How long each integration gets random answers: some say "come back later", and calls wait for that. */
const PATIENCE_MS = 120_000;
/** Sources that nobody connects. */
const OPEN = ["health"];
/** Formats that a description names and the provider does not mean: Google's bytes are base64url, its times may have a zone beside them. */
const LOOSE = { google: ["byte", "date-time"] };
/** Parameters that a description gives another type than the provider takes; why is said in `wrong` of tests/contracts.json. */
const UNTYPED = { sentry: ["adoptionStages"] };
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
  static async start(integration, file, directory, random) {
    const one = new Described();
    const loose = LOOSE[integration] ?? [];
    const description = JSON.parse(await readFile(join(CONTRACTS, file), "utf8"), (name, value) => (name === "format" && loose.includes(value) ? undefined : value));
    one.paths = Object.keys(description.paths).map((path) => {
      const words = path.split(/\{[^}]+\}/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      return { path, shape: new RegExp(`^${words.join("[^/]+")}$`) };
    });
    // Keys are sent as headers, which some describe otherwise, and to open sources none is sent.
    delete description.security;
    for (const operation of Object.values(description.paths).flatMap((item) => Object.values(item))) {
      delete operation?.security;
      for (const parameter of operation?.parameters ?? []) if (UNTYPED[integration]?.includes(parameter.name)) parameter.schema = {};
    }
    if (random) description["x-json-schema-faker"] = { optionalsProbability: 0.2, maxItems: 2, "resolve-json-path": false };
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
    // What no description covers is answered as in the fixtures.
    one.undescribed = new Map();
    for (const { upstream = [] } of await cases(integration)) {
      for (const { request, response } of upstream.filter(({ response }) => response.body !== undefined && response.status < 300)) {
        one.undescribed.set(`${request.method} ${request.path}`, response);
      }
    }
    for (const { host, files } of table) {
      one.hosts.set(host, await Promise.all(files.map((file) => Described.start(integration, file, directory, random))));
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
    const one = all.find((described) => described.knows(rest));
    if (!one) {
      const kept = this.undescribed.get(`${from.method} ${path}`);
      from.resume();
      return to.writeHead(kept?.status ?? 404, { "content-type": "application/json" }).end(JSON.stringify(kept?.body ?? {}));
    }
    const headers = { ...from.headers, host: `127.0.0.1:${one.port}` };
    const options = { host: "127.0.0.1", port: one.port, method: from.method, path: query ? `${rest}?${query}` : rest, headers };
    const passed = ask(options, (answer) => {
      const wrong = violations(answer.headers["sl-violations"]);
      // Ids in paths come from answers before, and those are random. And prism splits texts at encoded commas, and no lists.
      const isComma = ({ location, code, message }) => location[1] === "query" && (location.length > 3 || (code === "type" && message.endsWith("must be string")));
      if (wrong.some((one) => one.location[0] === "request" && one.location[1] !== "path" && !isComma(one))) {
        this.refused.push(`${from.method} ${named ?? ""}${rest}?${query}: ${answer.statusCode} ${JSON.stringify(wrong)}`);
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

/** What prism complains of; where it is too much for a header, prism says only that, and that is never of a request. */
function violations(header = "[]") {
  return header.startsWith("[") ? JSON.parse(header) : [];
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
      // A fixture writes a repeated parameter with commas.
      const fields = Object.entries(request.query ?? {});
      const split = (names) => new URLSearchParams(fields.flatMap(([name, value]) => (names.includes(name) ? value.split(",").map((one) => [name, one]) : [[name, value]]))).toString();
      const lists = fields.filter(([, value]) => value.includes(",")).map(([name]) => name);
      const headers = { authorization: "Bearer REDACTED", accept: "*/*", ...(type && { "content-type": type }) };
      const put = async (query) => {
        const address = `${provider.url}${request.path}${query && `?${query}`}`;
        const answer = await fetch(address, { method: request.method, headers, body: sent, redirect: "manual" });
        await answer.arrayBuffer();
        return answer;
      };
      let answer = await put(query);
      for (const names of [...lists.map((name) => [name]), lists]) {
        if (answer.status >= 400) answer = await put(split(names));
      }
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
    one.token = (await one.#run("tokens", "create", "alice@example.test")).match(/wbt_[\w-]+/)[0];
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
    const { stdout } = await promisify(execFile)(BINARY, args, { env: this.environment });
    return stdout;
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
  if (account.account && !OPEN.includes(integration)) await product.connect(integration, account.scopes, directory);
  const codes = {};
  const wrong = [];
  const note = (what, code, detail) => {
    codes[code] = (codes[code] ?? 0) + 1;
    if (["internal", "unknown_tool", "protocol"].includes(code)) wrong.push(`${what}: ${code} ${detail}`);
  };
  const tried = {};
  const end = performance.now() + PATIENCE_MS;
  for (const { folder, name, args, uri, field, dry_run, result } of await cases(integration)) {
    if (folder === "identify" || field || result?.error) continue;
    // Random answers take their time; each tool and block gets some, and all of its cases when that is asked for.
    tried[folder] = (tried[folder] ?? 0) + 1;
    if (!process.env.PRISM_ALL && (tried[folder] > 2 || performance.now() > end)) continue;
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
  if (!answer.result) throw new Error(`the accounts cannot be read: ${JSON.stringify(answer)}`);
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
