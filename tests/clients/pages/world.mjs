// A product in which something has happened, so that no page is empty: accounts, calls, approvals, rules, tokens, people.

import { Postgres } from "../shared/postgres.mjs";
import { ALICE, BOB, Demo, Serve, providers } from "../shared/rig.mjs";
import { year } from "./year.mjs";

export { ALICE, BOB };

/** Every page, by the name of its picture; `of` is who may see it. `{…}` is put in from what `fill` found. */
export const PAGES = [
  ["connections", "connections", BOB],
  ["connection", "connections/{connection}", BOB],
  ["disconnect", "connections/{connection}/disconnect", BOB],
  ["connect", "connect/hubspot", BOB],
  ["connect-key", "connect/sentry", BOB],
  ["connect-products", "connect/m365", BOB],
  ["connected", "connected/{flow}", BOB],
  ["clients", "clients", BOB],
  ["clients-add", "clients/add", BOB],
  ["tokens", "tokens", BOB],
  ["token-revoke", "tokens/{token}/revoke", BOB],
  ["try", "try", BOB],
  ["try-tool", "try/github_save_issue", BOB],
  ["try-block", "try/blocks/github_issue", BOB],
  ["approvals", "approvals", BOB],
  ["approval", "approvals/{approval}", BOB],
  ["activity", "activity", BOB],
  ["activity-conversations", "activity/conversations", BOB],
  ["activity-call", "activity/{call}", BOB],
  ["account", "account", BOB],
  ["missing", "nothing/is/here", BOB],
  ["admin-people", "admin/people", ALICE],
  ["admin-person", "admin/people/{person}", ALICE],
  ["admin-person-remove", "admin/people/{person}/remove", ALICE],
  ["admin-integrations", "admin/integrations", ALICE],
  ["admin-policy", "admin/policy?user=bob%40example.test&tool=github_save_issue", ALICE],
  ["admin-connections", "admin/connections", ALICE],
  ["admin-system", "admin/system", ALICE],
  ["admin-audit", "admin/audit", ALICE],
  ["admin-audit-record", "admin/audit/{call}", ALICE],
  ["admin-audit-thread", "admin/audit/threads/{thread}", ALICE],
  ["admin-audit-verify", "admin/audit/verify", ALICE],
  ["admin-audit-export", "admin/audit/export", ALICE],
  ["login", "login", undefined],
];

/** A tool call of somebody, over plain JSON-RPC. */
export async function call(demo, email, name, args, thread) {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "Picture client", version: "1.0" },
    "io.modelcontextprotocol/clientCapabilities": {},
    ...(thread ? { "workbench-mcp/thread": thread } : {}),
  };
  const params = { name, arguments: args, _meta: meta };
  const answer = await fetch(demo.mcp, {
    method: "POST",
    headers: {
      authorization: `Bearer ${demo.tokens[email]}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": name,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
  const text = await answer.text();
  const line = text.split("\n").find((one) => one.startsWith("data: {"));
  return JSON.parse(line ? line.slice(6) : text);
}

/** Connects an account in the window of `person`, and answers the page it ends on. */
export async function connect(demo, person, id, account, decision = "Approve") {
  const { page } = person;
  await page.goto(`${demo.url}connect/${id}`);
  await page.getByRole("button", { name: /^Continue to/ }).click();
  await person.decide(account, decision);
  await page.waitForURL((url) => url.href.startsWith(demo.url) && url.pathname.startsWith("/connected/"));
  return person.text();
}

/** What `serve` is set up with here: what the checks connect. */
const PROVIDERS = ["github", "hubspot", "m365", "sentry"];

/** `serve` as a demo is used: with the demo's sandbox for its providers, the same two people, and, on PostgreSQL, `calls`
 * of others in its log already. */
export async function served(calls) {
  const demo = await Demo.start();
  const database = await Postgres.start();
  const settings = providers(PROVIDERS, demo.sandbox);
  if (database) settings.WORKBENCH_DATABASE_URL = database.url;
  const product = await Serve.prepare(demo, settings);
  await product.command("migrate");
  const known = database && (await year(database, calls));
  const tokens = {};
  for (const [email, role] of [[ALICE, "admin"], [BOB, "member"]]) {
    await product.command("users", "add", email, "--role", role);
    tokens[email] = await product.command("tokens", "create", email);
  }
  await product.begin();
  const stop = async () => {
    await product.stop();
    await demo.stop();
    await database?.stop();
  };
  return { url: product.url, mcp: product.mcp, tokens, tell: (...words) => demo.tell(...words), stop, sandbox: demo.sandbox, year: known };
}

/** Lets two people do a day's work with the product. Answers what the addresses of pages need. */
export async function world(demo, browserOf) {
  const browser = await browserOf([demo.url]);
  const enter = async (email, options) => {
    const person = await browser.person(email, options);
    await person.page.goto(`${demo.url}login`);
    await person.signInWithToken(demo.tokens[email]);
    await person.page.waitForURL("**/connections");
    return person;
  };
  const alice = await enter(ALICE);
  const bob = await enter(BOB);
  await connect(demo, alice, "github", "alice-dev");
  await connect(demo, bob, "github", "bob-ops");
  await connect(demo, bob, "hubspot");
  const flow = new URL(bob.page.url()).pathname.split("/").at(-1);
  await bob.page.goto(`${demo.url}tokens`);
  const revoke = await bob.page.locator('main a[href*="/revoke"]').first().getAttribute("href");
  const token = revoke.split("/").at(-2);
  await bob.page.goto(`${demo.url}connections`);
  const link = await bob.page.getByRole("link", { name: "bob-ops" }).getAttribute("href");
  const connection = link.split("/").at(-1);
  await alice.page.goto(`${demo.url}admin/policy`);
  await alice.page.getByLabel("Decision").selectOption("ask");
  await alice.page.getByLabel("Tool or block", { exact: true }).first().fill("github_save_issue");
  await alice.page.getByLabel("Why", { exact: true }).fill("Issues are public");
  await alice.press("Add the rule");
  await alice.page.getByRole("cell", { name: "Issues are public" }).waitFor();
  const thread = "quarter-review";
  for (let at = 0; at < 6; at += 1) await call(demo, BOB, "github_list_issues", { repo: "acme/site" }, thread);
  await call(demo, ALICE, "github_get_viewer", {}, "standup");
  await call(demo, BOB, "hubspot_search_records", { object_type: "tickets", q: "vat", fields: ["*"] }, thread);
  await call(demo, BOB, "github_get_repo", { repo: "acme/nothing" }, thread);
  const asked = await call(demo, BOB, "github_save_issue", { repo: "acme/site", title: "Cart total is wrong" }, thread);
  const told = JSON.stringify(asked);
  const approval = /apr_[0-9a-f]+/.exec(told)?.[0];
  await bob.page.goto(`${demo.url}activity`);
  const record = await bob.page.locator('main a[href*="activity/call_"]').first().getAttribute("href");
  const id = record.split("/").at(-1);
  await alice.page.goto(`${demo.url}admin/people`);
  const people = await alice.page.getByRole("row", { name: /bob@/ }).getByRole("link").getAttribute("href");
  await alice.page.goto(`${demo.url}admin/audit`);
  const story = await alice.page.locator('main a[href*="admin/audit/threads/"]').first().getAttribute("href").catch(() => null);
  const found = { connection, flow, token, approval, call: id, person: people.split("/").at(-1), thread: story ? story.split("threads/")[1] : thread };
  return { demo, browser, enter, alice, bob, found, address: (path) => demo.url + path.replace(/\{(\w+)\}/g, (_, name) => found[name]) };
}
