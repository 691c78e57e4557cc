// What the checks run against: the real binary's demo, its sandbox, and a person with a browser. Node's own modules only.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
export const ALICE = "alice@example.test";
export const BOB = "bob@example.test";
/** The integrations that the checks use. */
const PROVIDERS = ["github", "hubspot"];

/** The binary under test: CLIENTS_BINARY, else the debug build. */
export const BINARY =
  process.env.CLIENTS_BINARY ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug/workbench-mcp");

/** A running `workbench-mcp demo` on a database of its own. */
export class Demo {
  static async start() {
    const demo = new Demo();
    demo.directory = await mkdtemp(join(tmpdir(), "workbench-clients-"));
    demo.data = join(demo.directory, "data");
    const args = ["demo", "--listen", "127.0.0.1:0", "--data", demo.data];
    demo.process = spawn(BINARY, args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    demo.process.stderr.on("data", (text) => (said += text));
    demo.ended = new Promise((done) => demo.process.on("close", done));
    const first = new Promise((done) => createInterface(demo.process.stdout).once("line", done));
    const line = await Promise.race([first, demo.ended.then(() => null)]);
    if (line === null) throw new Error(`the demo did not start: ${said}`);
    Object.assign(demo, JSON.parse(line));
    return demo;
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
    await rm(this.directory, { recursive: true, force: true });
  }

  /** What a second process needs to work on the demo's database, people and sandbox. */
  environment() {
    return environment({ data: this.data, url: this.url, sandbox: this.sandbox });
  }

  /** Tells the sandbox to do something at one provider. */
  async tell(provider, command) {
    const body = JSON.stringify({ provider, ...command });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${this.sandbox}_control`, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(`the sandbox answered ${answer.status}: ${await answer.text()}`);
  }

  /** What one provider has seen. */
  async report(provider) {
    return (await (await fetch(`${this.sandbox}_control`)).json())[provider];
  }

  /** The audit log's entries about one tool, newest first. */
  audit(tool) {
    return this.#list("--tool", tool);
  }

  /** Those of one conversation. */
  auditOf(thread) {
    return this.#list("--thread", thread);
  }

  #list(...filter) {
    return run({ ...process.env, ...this.environment() }, "audit", "list", ...filter);
  }
}

/** The settings of a process whose providers are the sandbox. */
function environment({ data, url, sandbox }) {
  const settings = {
    PATH: process.env.PATH,
    WORKBENCH_DATA_DIR: data,
    WORKBENCH_LISTEN: new URL(url).host,
    WORKBENCH_PUBLIC_URL: url,
    WORKBENCH_LOG: "warn",
  };
  return { ...settings, ...providers(PROVIDERS, sandbox) };
}

/** The settings that put the sandbox in the place of these providers. */
export function providers(names, sandbox) {
  const settings = {};
  for (const provider of names) {
    const name = provider.toUpperCase();
    settings[`WORKBENCH_PROVIDER_${name}_API_URL`] = sandbox + provider;
    settings[`WORKBENCH_PROVIDER_${name}_AUTH_URL`] = sandbox + provider;
    settings[`WORKBENCH_APP_${name}_CLIENT_ID`] = "workbench-demo";
    settings[`WORKBENCH_APP_${name}_CLIENT_SECRET`] = "sandbox-secret";
  }
  return settings;
}

/** A running `workbench-mcp serve` on an empty database of its own, with the sandbox of a demo for its providers. */
export class Serve {
  static async start(demo, settings = {}) {
    const served = await Serve.prepare(demo, settings);
    await served.begin();
    return served;
  }

  /** Everything that it needs, so that commands may run before it starts. */
  static async prepare(demo, settings = {}) {
    const served = new Serve();
    served.directory = await mkdtemp(join(tmpdir(), "workbench-clients-"));
    served.url = `http://127.0.0.1:${await freePort()}/`;
    served.mcp = `${served.url}mcp`;
    const data = join(served.directory, "data");
    served.environment = { ...environment({ data, url: served.url, sandbox: demo.sandbox }), ...settings };
    return served;
  }

  async begin() {
    this.said = "";
    this.process = spawn(BINARY, ["serve"], { env: this.environment, stdio: ["ignore", "ignore", "pipe"] });
    this.process.stderr.on("data", (text) => (this.said += text));
    this.ended = new Promise((done) => this.process.on("close", done));
    const ready = () => fetch(`${this.url}readyz`).then(({ ok }) => ok, () => this.process.exitCode !== null);
    await until(ready, 20);
    if (this.process.exitCode !== null) throw new Error(`serve did not start: ${this.said}`);
  }

  /** The link that makes whoever opens it first the admin. */
  get firstAdminLink() {
    return this.said.match(/becomes the admin: (\S+)/)?.[1];
  }

  /** Runs a command on the same database; answers what it prints. */
  async command(...args) {
    const { stdout } = await promisify(execFile)(BINARY, args, { env: this.environment });
    return stdout.trim();
  }

  /** Runs another command on the same database; answers its lines of JSON. */
  run(...args) {
    return run(this.environment, ...args);
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Runs a command of the product; answers its lines of JSON. */
async function run(env, ...args) {
  const { stdout } = await promisify(execFile)(BINARY, [...args, "--json"], { env });
  return stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** A port that nobody listens on at the moment. */
export function freePort() {
  return new Promise((found) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}

/** A person's browser: cookies, redirects, forms. */
export class Browser {
  #cookies = new Map();

  /** Visits a page, or sends a form; answers where that led and what stands there. */
  async go(url, fields) {
    let body = fields && new URLSearchParams(fields);
    for (let hops = 0; hops < 10; hops += 1) {
      const { host, origin } = new URL(url);
      const jar = this.#cookies.get(host) ?? new Map();
      const headers = { cookie: [...jar].map((pair) => pair.join("=")).join("; ") };
      if (body) headers.origin = origin;
      const answer = await fetch(url, { method: body ? "POST" : "GET", headers, body, redirect: "manual" });
      for (const line of answer.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
        jar.set(name, value);
      }
      this.#cookies.set(host, jar);
      const page = await answer.text();
      const next = answer.headers.get("location");
      if (!next) {
        if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${page.slice(0, 300)}`);
        return { url, page };
      }
      url = new URL(next, url).href;
      body = undefined;
    }
    throw new Error(`${url} redirects without end`);
  }

  /** Follows a link to connect an account: signs in, agrees to leave, approves at the provider (as `account` there). */
  async connect(link, token, account) {
    let at = await this.go(link);
    if (new URL(at.url).pathname.endsWith("/login")) at = await this.#send(at, { token });
    at = await this.#send(at, {});
    at = await this.#send(at, { decision: "approve", ...(account && { account }) });
    if (!at.page.includes("is connected")) throw new Error(`${at.url} does not say that the account is connected`);
  }

  /** Follows a client's link: signs in if need be, and allows the client; answers where it is sent back to. */
  async allow(link, token) {
    let at = await this.go(link);
    if (new URL(at.url).pathname.endsWith("/login")) at = await this.#send(at, { token });
    return new URL((await this.#send(at, { decision: "approve" })).url);
  }

  /** Sends the last form on a page, some of its fields filled in by the person. */
  async #send({ url, page }, more) {
    const start = page.lastIndexOf("<form");
    if (start < 0) throw new Error(`${url} has no form: ${page.slice(0, 300)}`);
    const form = page.slice(start, page.indexOf("</form>", start));
    const action = form.match(/^<form[^>]*\saction="([^"]*)"/)?.[1] ?? url;
    const fields = [];
    for (const [, attributes] of form.matchAll(/<input\s([^>]*)>/g)) {
      const of = (name) => attributes.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1];
      const picked = !["radio", "checkbox"].includes(of("type")) || /\bchecked\b/.test(attributes);
      if (of("name") && picked && !/\bdisabled\b/.test(attributes) && !(of("name") in more)) {
        fields.push([of("name"), of("value") ?? ""]);
      }
    }
    return this.go(new URL(action, url).href, [...fields, ...Object.entries(more)]);
  }
}

/** Counts checks and prints one line for each. */
export class Tally {
  passed = 0;
  failed = 0;
  /** What the checks that follow are about. */
  subject = "";

  check(name, holds, detail) {
    const what = this.subject ? `${this.subject}: ${name}` : name;
    if (holds) {
      this.passed += 1;
      console.log(`ok    ${what}`);
    } else {
      this.failed += 1;
      console.log(`FAIL  ${what}: ${detail instanceof Error ? detail.stack : JSON.stringify(detail)}`);
    }
  }

  /** Prints the total and ends the process. */
  end(suite) {
    console.log(`${suite}: ${this.passed} passed, ${this.failed} failed`);
    process.exit(this.failed === 0 && this.passed > 0 ? 0 : 1);
  }
}

/** The first true answer of `condition`; its last answer when none came in time. */
export async function until(condition, seconds = 10) {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await condition();
    if (answer || performance.now() > deadline) return answer;
    await new Promise((done) => setTimeout(done, 50));
  }
}
