// A certified OpenID Connect provider as the identity provider of the pages and as the external issuer of `/mcp`, with
// people at headless Chromium: `node checks.mjs`, after `npm install` here and in ../workbench.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { chromium } from "playwright-core";

import { Chromium } from "../shared/browser.mjs";
import { Demo, Serve, Tally, until } from "../shared/rig.mjs";
import { EXAMPLES, run } from "../workbench/run.mjs";
import { ELSEWHERE, Issuer, OIDC_CLIENT, STRANGER, WORKBENCH } from "./provider.mjs";

const ANN = "ann@example.test";
const BEN = "ben@example.test";
const MALLORY = "mallory@elsewhere.test";
const ACCOUNTS = { [ANN]: "alice-dev", [BEN]: "bob-ops" };
/** How far the server lets clocks be apart, and how long it leaves an issuer's keys alone, in seconds. */
const A_MINUTE = 60;

/** Signs in at the provider's own pages, which let in whoever says who they are. */
async function signInThere(person, email) {
  await person.page.getByPlaceholder("Enter any login").fill(email);
  await person.page.getByPlaceholder("and password").fill("any");
  await person.press("Sign-in");
  await person.press("Continue");
}

/** From the product's sign-in page to the provider and back. */
async function signIn(served, person, email) {
  await person.page.goto(`${served.url}login`);
  await person.press("Continue with your organization's account");
  await signInThere(person, email);
  await person.page.waitForURL((url) => url.href.startsWith(served.url));
}

/** The pages: who comes in, who does not, and accounts connected in a popup and without one. */
async function pages({ tally, served, browser }) {
  const ann = await browser.person("ann");
  await signIn(served, ann, ANN);
  tally.check("somebody of an allowed domain comes in", new URL(ann.page.url()).pathname === "/connections", ann.page.url());
  const header = await ann.page.locator("header").innerText();
  tally.check("as who they are there", header.includes(ANN), header);

  const denied = await ann.popup("Connect GitHub");
  await ann.press("Continue to GitHub", denied);
  await ann.decide(undefined, "Deny", denied);
  await denied.waitForURL((url) => url.href.startsWith(served.url));
  const said = await ann.text(denied);
  tally.check("denied at the provider, the page says so and where to go on", said.includes("nothing was connected") &&
    (await denied.getByRole("main").getByRole("link").count()) > 0, said);
  await denied.close();

  const popup = await ann.popup("Connect GitHub");
  const closed = popup.waitForEvent("close");
  await ann.press("Continue to GitHub", popup);
  await ann.decide(/alice-dev/, "Approve", popup);
  await closed;
  tally.check("approved at the provider, the popup closes itself", popup.isClosed(), popup.url());
  const shown = ann.page.getByRole("main").getByText("alice-dev").first();
  await shown.waitFor();
  tally.check("and the page that opened it shows the account", await shown.isVisible(), ann.page.url());

  const ben = await browser.person("ben");
  await signIn(served, ben, BEN);
  await ben.page.goto(`${served.url}connect/github`);
  await ben.press("Continue to GitHub");
  await ben.decide(/bob-ops/, "Approve");
  await ben.page.waitForURL((url) => url.href.startsWith(served.url));
  tally.check("without a popup it ends on a page", (await ben.text()).includes("bob-ops"), await ben.text());
  await ben.page.goto(`${served.url}connections`);
  const bens = await ben.text();
  tally.check("a person's page shows no one else's account", bens.includes("bob-ops") && !bens.includes("alice-dev"), bens);

  const mallory = await browser.person("mallory");
  await signIn(served, mallory, MALLORY);
  const refused = await mallory.text();
  tally.check("who is not invited is told what to do", refused.includes("Ask an admin to invite you"), refused);
  await mallory.page.goto(`${served.url}connections`);
  tally.check("and is not in", new URL(mallory.page.url()).pathname === "/login", mallory.page.url());
  browser.check(tally, "pages");
  return { ann, ben };
}

/** Lets a client of the issuer act for a person, in the person's browser; answers the tokens that the client gets. */
async function grant(issuer, person, client, resources) {
  const url = new URL(`${issuer.url}/auth`);
  url.search = new URLSearchParams([
    ["client_id", client.id],
    ["redirect_uri", issuer.back],
    ["response_type", "code"],
    ["scope", "openid email offline_access tools:read tools:write"],
    ["prompt", "consent"],
    ["nonce", "of the workbench"],
    ...resources.map((resource) => ["resource", resource]),
  ]);
  await person.page.goto(url.href);
  await person.press("Continue");
  await person.page.waitForURL((url) => url.href.startsWith(issuer.back));
  const code = new URL(person.page.url()).searchParams.get("code");
  const [resource] = resources;
  const fields = { grant_type: "authorization_code", code, redirect_uri: issuer.back, ...(resource && { resource }) };
  return issuer.trade(client, fields);
}

/** The status and the challenge that a token meets. */
async function meet(served, token) {
  const headers = {
    accept: "application/json, text/event-stream",
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
  };
  const answer = await fetch(served.mcp, { method: "POST", headers, body: "{}" });
  return { status: answer.status, challenge: answer.headers.get("www-authenticate") ?? "" };
}

/** Does something with a client that holds this token. */
async function as(served, token, action) {
  const client = new Client({ name: "identity-checks", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(served.mcp), { requestInit }));
  try {
    return await action(client);
  } catch (error) {
    return { error };
  } finally {
    await client.close();
  }
}

/** Where the example workbenches keep their refresh tokens. */
const grantsOf = (served) => join(served.directory, "grants.json");

const block = (account) => (client) => client.readResource({ uri: `github://${account}/acme/site` });

/** Which tokens of the issuer are taken, and which are not. */
async function tokens({ tally, served, issuer, browser }, { ann, ben }) {
  const anns = await grant(issuer, ann, WORKBENCH, [served.mcp, ELSEWHERE]);
  const bens = await grant(issuer, ben, WORKBENCH, [served.mcp]);
  const foreign = await grant(issuer, ben, STRANGER, [served.mcp]);
  const opaque = await grant(issuer, ben, WORKBENCH, []);
  const refresh = (held, more) =>
    issuer.trade(WORKBENCH, { grant_type: "refresh_token", refresh_token: held.refresh_token, ...more });
  const elsewhere = await refresh(anns, { resource: ELSEWHERE });
  const reading = await refresh(elsewhere, { resource: served.mcp, scope: "openid tools:read" });
  const [head, body, signature] = anns.access_token.split(".");
  const swapped = [head, bens.access_token.split(".")[1], signature].join(".");

  const { typ } = JSON.parse(Buffer.from(head, "base64url"));
  const { aud } = JSON.parse(Buffer.from(body, "base64url"));
  tally.check("the issuer gives access tokens for our endpoint", typ === "at+jwt" && aud === served.mcp, [typ, aud]);
  for (const [whose, held] of [[ANN, anns], [BEN, bens]]) {
    const read = await as(served, held.access_token, block(ACCOUNTS[whose]));
    tally.check(`${whose} reads with a token of the issuer`, read.contents?.[0].text.includes("acme/site"), read);
  }
  for (const [what, token] of [
    ["an ID token", anns.id_token],
    ["a token for somewhere else", elsewhere.access_token],
    ["another client's token", foreign.access_token],
    ["an opaque token", opaque.access_token],
    ["a token with another's claims", swapped],
    ["a refresh token", bens.refresh_token],
  ]) {
    const { status, challenge } = await meet(served, token);
    const says = challenge.startsWith("Bearer ") && challenge.includes('error="invalid_token"');
    tally.check(`${what} is refused`, status === 401 && says, { status, challenge });
  }
  const { challenge } = await meet(served, anns.id_token);
  const described = challenge.match(/resource_metadata="([^"]+)"/)?.[1];
  const metadata = await (await fetch(described)).json();
  const leads = metadata.resource === served.mcp && metadata.authorization_servers.join() === issuer.url;
  tally.check("the challenge leads to the issuer", leads, metadata);

  const wanted = { name: "github_save_issue", arguments: { repo: "acme/site", title: "From the checks" } };
  const written = await as(served, reading.access_token, (client) => client.callTool(wanted));
  const error = written.structuredContent?.error ?? written.error;
  tally.check("a token for reading does not write", written.isError || written.error, written);
  tally.check("and the refusal says that the scope is missing", /scope|allow|token/i.test(error?.message), error);

  // Two people on two tokens.
  for (const [whose, held, other] of [[ANN, anns, BEN], [BEN, bens, ANN]]) {
    const seen = await as(served, held.access_token, async (client) => {
      const accounts = await client.readResource({ uri: "workbench://accounts" });
      const ref = { type: "ref/resource", uri: "github://{account}/{owner}/{repo}" };
      const { completion } = await client.complete({ ref, argument: { name: "account", value: "" } });
      return { accounts: accounts.contents[0].text, completed: completion.values.join() };
    });
    const own = seen.accounts?.includes(ACCOUNTS[whose]) && !seen.accounts.includes(ACCOUNTS[other]);
    tally.check(`${whose} sees no account of ${other}`, own && seen.completed === ACCOUNTS[whose], seen);
    const { error: refusal, contents } = await as(served, held.access_token, block(ACCOUNTS[other]));
    tally.check(`${whose} reads no block of ${other}`, refusal && !contents, contents);
  }
  browser.check(tally, "grants");
  return { [ANN]: reading.refresh_token, [BEN]: bens.refresh_token };
}

/** The example workbenches, with refresh tokens that people left them. */
async function workbenches({ tally, served, issuer }, grants) {
  const file = grantsOf(served);
  await writeFile(file, JSON.stringify(grants), { mode: 0o600 });
  for (const example of EXAMPLES) {
    const check = (what, holds, detail) => tally.check(`workbench in ${example.name}: ${what}`, holds, detail);
    const env = { WORKBENCH_CLIENT_ID: WORKBENCH.id, WORKBENCH_CLIENT_SECRET: WORKBENCH.secret };
    const args = ["--mcp", served.mcp, "--issuer", issuer.url, "--grants", file];
    const before = await readFile(file, "utf8");
    const done = await run(example, { args, env });
    check("serves two people by tokens of the issuer", done.code === 0, done);
    for (const person of [ANN, BEN]) {
      const own = done.blocks[person]?.uri.startsWith(`github://${ACCOUNTS[person]}/`);
      check(`${person} has a block of their own account`, own, done);
      const entries = await served.run("audit", "list", "--thread", done.threads[person] ?? "none");
      const one = entries.length === 2 && entries.every(({ email, outcome }) => email === person && outcome === "ok");
      check(`the log has ${person}'s thread`, one, entries);
    }
    check("keeps the refresh tokens that follow", (await readFile(file, "utf8")) !== before, "the same");
  }
}

/** A new key at the issuer, and a token at its end: both take a minute. */
async function later({ tally, served, issuer }) {
  const held = JSON.parse(await readFile(grantsOf(served), "utf8"))[BEN];
  const fields = { grant_type: "refresh_token", resource: served.mcp };
  issuer.tokenSeconds = 1;
  const short = await issuer.trade(WORKBENCH, { ...fields, refresh_token: held });
  issuer.tokenSeconds = 300;
  const { exp } = JSON.parse(Buffer.from(short.access_token.split(".")[1], "base64url"));
  tally.check("the issuer gives a short token when it is told to", exp < Date.now() / 1000 + 5, exp);
  const taken = await meet(served, short.access_token);
  tally.check("a token is taken while it lives", taken.status !== 401, taken);

  await issuer.rotate();
  const fresh = await issuer.trade(WORKBENCH, { ...fields, refresh_token: short.refresh_token });
  const kid = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
  tally.check("the issuer signs with a new key", kid(fresh.access_token) !== kid(short.access_token), kid(fresh.access_token));
  const found = await until(async () => (await meet(served, fresh.access_token)).status !== 401, A_MINUTE + 15);
  tally.check("a new key is found within a minute", found, await meet(served, fresh.access_token));
  const read = await as(served, fresh.access_token, block(ACCOUNTS[BEN]));
  tally.check("and its token works", read.contents?.[0].text.includes("acme/site"), read);

  const over = async () => (await meet(served, short.access_token)).status === 401;
  await until(over, exp + A_MINUTE + 15 - Date.now() / 1000);
  const { status, challenge } = await meet(served, short.access_token);
  const says = challenge.includes('error="invalid_token"') && challenge.includes("expired");
  tally.check("an expired token is refused, and told so", status === 401 && says, { status, challenge });
}

const tally = new Tally();
const demo = await Demo.start();
const issuer = await Issuer.start();
const served = await Serve.start(demo, {
  WORKBENCH_OIDC_ISSUER: issuer.url,
  WORKBENCH_OIDC_CLIENT_ID: OIDC_CLIENT.id,
  WORKBENCH_OIDC_CLIENT_SECRET: OIDC_CLIENT.secret,
  WORKBENCH_OIDC_ALLOWED_DOMAINS: "example.test",
  WORKBENCH_ISSUER: issuer.url,
  WORKBENCH_ISSUER_CLIENTS: WORKBENCH.id,
});
await issuer.configure(served);
const browser = await Chromium.launch(chromium, [served.url]);
const rig = { tally, served, issuer, browser };
await browser.part(tally, "identity", async () => {
  const people = await pages(rig);
  const grants = await tokens(rig, people);
  await workbenches(rig, grants);
  await later(rig);
});
await browser.close();
issuer.stop();
await served.stop();
await demo.stop();
tally.end("identity");
