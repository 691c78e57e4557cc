// Every page in headless Chromium, of a demo and of `serve` on PostgreSQL: no violation of axe-core's rules, light, dark,
// narrow and wide; little weight, quick, nothing inline; the life of a connection with its unhappy endings; two people who
// never see each other's things; the essential paths without scripts; and the filters of a log of a million calls.
// `node checks.mjs`, after `npm install` here.

import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

import { chromium } from "playwright-core";

import { Chromium } from "../shared/browser.mjs";
import { Demo, Tally } from "../shared/rig.mjs";
import { ALICE, BOB, PAGES, call, connect, served, world } from "./world.mjs";
import { person } from "./year.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Largest first visit to a page, in bytes over the wire. */
const WEIGHT = 100 * 1024;
/** Longest wait until a page can be used, in milliseconds. */
const QUICK = 200;
/** Calls in the long log. */
const CALLS = 1_000_000;
const LOOKS = [
  ["light", { viewport: { width: 1280, height: 860 }, colorScheme: "light" }],
  ["dark, phone", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }],
];

/** What axe-core finds wrong, in short. */
async function violations(page) {
  // The page's policy stops scripts in pages, so the rules are loaded into the world of the driver.
  await page.evaluate(AXE);
  const { violations: found } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 3).join(" | ")}`);
}

/** Every page, as everybody who may see it sees it. */
async function everyPage({ tally, browser, enter, address }) {
  for (const [look, options] of LOOKS) {
    const people = new Map();
    for (const [name, path, who] of PAGES) {
      if (!people.has(who)) people.set(who, who ? await enter(who, options) : await browser.person("nobody", options));
      const { page } = people.get(who);
      await page.goto(address(path));
      const found = await violations(page);
      tally.check(`${name}, ${look}: axe finds nothing`, found.length === 0, found.join("\n"));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      tally.check(`${name}, ${look}: nothing sticks out`, wide <= 0, wide);
    }
  }
  browser.check(tally, "every page");
}

/** How long until the page can be used, in milliseconds: the quickest of some loads, for the machine does other things
 * too, and no more loads than it takes to be quick. */
async function readiness(page) {
  let quickest = Infinity;
  for (let loads = 0; loads < 15 && quickest > QUICK; loads += 1) {
    await page.reload();
    quickest = Math.min(quickest, await page.evaluate(() => performance.getEntriesByType("navigation")[0].domInteractive));
  }
  return quickest;
}

/** Weight and speed of a first visit, and that nothing stands in the page that the policy would have to allow. */
async function lightAndQuick({ tally, enter, address }) {
  for (const who of [BOB, ALICE]) {
    const { page, context } = await enter(who);
    const wire = await context.newCDPSession(page);
    await wire.send("Network.enable");
    let bytes = 0;
    wire.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
    for (const [name, path] of PAGES.filter(([, , of]) => of === who)) {
      await wire.send("Network.clearBrowserCache");
      bytes = 0;
      const answer = await page.goto(address(path), { waitUntil: "networkidle" });
      tally.check(`${name}: at most 100 KiB`, bytes > 0 && bytes <= WEIGHT, bytes);
      const ready = await readiness(page);
      tally.check(`${name}: ready within 200 ms`, ready <= QUICK, ready);
      const policy = answer.headers()["content-security-policy"] ?? "";
      tally.check(`${name}: a policy without unsafe words`, policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
      const inline = await page.evaluate(() =>
        [...document.querySelectorAll("*")]
          .filter((one) => one.matches("style, [style], script:not([src])") || one.getAttributeNames().some((word) => word.startsWith("on")))
          .map((one) => one.outerHTML.slice(0, 120)),
      );
      tally.check(`${name}: nothing inline`, inline.length === 0, inline);
      const bare = await page.evaluate(() => [...document.querySelectorAll("form[method=post]")].filter((form) => !form.querySelector("[name=csrf]")).length);
      tally.check(`${name}: every form has its token`, bare === 0, bare);
    }
  }
}

/** From connecting to disconnecting, with every unhappy ending on the way. */
async function life({ tally, demo, browser, enter }) {
  const bob = await enter(BOB);
  const { page } = bob;
  const denied = await connect(demo, bob, "github", undefined, "Deny");
  tally.check("denied: the page says so and offers to begin again", /not connected/.test(denied) && (await page.getByRole("link", { name: /again/ }).count()) > 0, denied);

  await demo.tell("github", { do: "misbehave", at: "token", fault: { kind: "stall", ms: 120_000 } });
  // The browser waits as long as the server does.
  page.setDefaultTimeout(90_000);
  const late = await connect(demo, bob, "github", "bob-ops");
  page.setDefaultTimeout(15_000);
  tally.check("no answer in time: the page says so and offers to begin again", /not connected/.test(late) && /answer/.test(late) && (await page.getByRole("link", { name: /again/ }).count()) > 0, late);

  const waits = await connect(demo, bob, "m365", undefined, "An administrator must approve");
  tally.check("an administrator is needed: the page says so, with the link for them", /needs an administrator/.test(waits), waits);
  const link = await page.locator('main a[href*="adminconsent"]').first().getAttribute("href");
  const administrator = await browser.person("administrator");
  await administrator.page.goto(link);
  await administrator.press("Approve for everybody");
  await administrator.page.waitForURL((url) => url.href.startsWith(demo.url));
  const approved = await administrator.text();
  tally.check("who approves needs no account here, and is told what comes next", /may be connected/.test(approved), approved);
  const allowed = await connect(demo, bob, "m365", "bob@example.test");
  tally.check("then it connects", /is connected/.test(allowed), allowed);

  const paste = async (key) => {
    await page.goto(`${demo.url}connect/sentry`);
    await page.locator("input[name=key]").fill(key);
    await bob.press("Connect");
    await page.waitForURL((url) => !url.pathname.endsWith("/connect/sentry"));
    return bob.text();
  };
  const refused = await paste("sandbox-key-of-nobody");
  tally.check("a wrong key: what is wrong stands at its field, and the key nowhere", (await page.getByRole("alert").count()) > 0 && !(await page.content()).includes("of-nobody"), refused);
  const pasted = await paste("sandbox-key-of-bob");
  tally.check("a good key is tried and never shown again", /is connected/.test(pasted) && !(await page.content()).includes("key-of-bob"), pasted);

  await page.goto(`${demo.url}connect/hubspot`);
  await page.getByRole("button", { name: /^Continue to/ }).click();
  await page.getByRole("checkbox", { name: /tickets/ }).uncheck();
  await page.getByRole("radio").last().check();
  await bob.press("Approve");
  await page.waitForURL("**/connected/**");
  const partial = await bob.text();
  tally.check("partial grant: the page says what is missing", /Not allowed: .*tickets/.test(partial), partial);
  await page.goto(`${demo.url}connections`);
  await page.locator('main a[href*="connections/con_"]').last().click();
  const one = await bob.text();
  tally.check("and the account's page says what will not work", /Part of it will not work/.test(one), one);

  // Taken back at the provider, found out by the next call, mended by nobody else's account.
  await demo.tell("github", { do: "revoke", account: "bob-ops" });
  await call(demo, BOB, "github_get_viewer", {}, "afterwards");
  await page.goto(`${demo.url}connections`);
  const dead = await bob.text();
  tally.check("taken back: the account is Expired and says why", /Expired/.test(dead) && /reconnect/.test(dead), dead);
  const reconnect = async (account) => {
    await page.goto(`${demo.url}connections`);
    const opened = await bob.popup("Reconnect");
    await bob.press("Continue to GitHub", opened);
    await bob.decide(account, "Approve", opened);
    return opened;
  };
  const wrong = await reconnect("alice-dev");
  await wrong.waitForURL((url) => url.href.startsWith(demo.url));
  const other = await bob.text(wrong);
  tally.check("reconnected with another account: nothing is mixed up", /not connected/.test(other) && /bob-ops/.test(other), other);
  await wrong.close();
  const right = await reconnect("bob-ops");
  if (!right.isClosed()) await right.waitForEvent("close");
  await page.getByText("Connected on").first().waitFor();
  await page.goto(`${demo.url}connections`);
  const alive = await bob.text();
  tally.check("with the same account it works again", !/Expired/.test(alive), alive);

  await page.goto(`${demo.url}connections`);
  await page.getByRole("link", { name: "bob-ops" }).click();
  await page.getByLabel("Your own name for this account").fill("ops account");
  await bob.press("Save the name");
  await page.getByRole("heading", { name: "ops account" }).waitFor();
  tally.check("renamed, the account has its name", await page.getByRole("heading", { name: "ops account" }).isVisible());
  await bob.press("Disconnect");
  const warned = await bob.text();
  tally.check("before disconnecting the page says what stops working", /lose/.test(warned), warned);
  await bob.press("Cancel");
  await bob.press("Disconnect");
  await bob.press("Disconnect");
  const receipt = await bob.text();
  tally.check("disconnected, there is a receipt", /is disconnected/.test(receipt) && /revoked|revoke/.test(receipt), receipt);
  await page.goto(`${demo.url}connections`);
  tally.check("and the account is gone", (await page.getByRole("link", { name: "ops account" }).count()) === 0, await bob.text());
  const missing = await page.goto(`${demo.url}connected/flow_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b`);
  tally.check("an attempt that is not theirs is a page that says so", missing.status() === 404 && /Nothing is here/.test(await bob.text()), await bob.text());
  browser.check(tally, "life");
}

/** Two people in two browsers. */
async function apart({ tally, demo, enter, found, address }) {
  const alice = await enter(ALICE);
  const bob = await enter(BOB);
  await alice.page.goto(`${demo.url}connections`);
  tally.check("an admin's accounts are her own", !/bob-ops/.test(await alice.text()), await alice.text());
  for (const path of ["connections/{connection}", "connections/{connection}/disconnect", "activity/{call}"]) {
    const answer = await alice.page.goto(address(path));
    tally.check(`not even an admin opens ${path}`, answer.status() === 404, answer.status());
  }
  for (const path of ["admin/people", "admin/policy", "admin/integrations", "admin/connections", "admin/system", "admin/audit", "admin/audit/{call}"]) {
    const answer = await bob.page.goto(address(path));
    tally.check(`a member does not open ${path}`, [403, 404].includes(answer.status()), answer.status());
  }
  await bob.page.goto(`${demo.url}activity`);
  tally.check("a person's activity has no call of others", !/standup/.test(await bob.text()), await bob.text());
  tally.check("what was needed was found", Object.values(found).every(Boolean), found);
}

/** The essential paths with scripts switched off. */
async function withoutScripts({ tally, demo, enter }) {
  const off = { javaScriptEnabled: false };
  const alice = await enter(ALICE, off);
  const { page } = alice;
  const said = await connect(demo, alice, "hubspot");
  tally.check("no scripts: an account is connected", /is connected/.test(said), said);
  await page.goto(`${demo.url}try/github_list_issues`);
  await page.getByLabel(/^repo/).fill("acme/site");
  await alice.press("Run");
  const answered = await alice.text();
  tally.check("no scripts: a tool is tried", /structuredContent|items/.test(answered), answered);
  await page.goto(`${demo.url}admin/policy`);
  await page.getByLabel("Decision").selectOption("deny");
  await page.getByLabel("Effect").selectOption("destructive");
  await page.getByLabel("Why", { exact: true }).fill("No scripts");
  await alice.press("Add the rule");
  const row = page.getByRole("row", { name: /No scripts/ });
  tally.check("no scripts: a rule is made", await row.isVisible(), await alice.text());
  await row.getByRole("button").click();
  tally.check("no scripts: and removed", (await page.getByRole("row", { name: /No scripts/ }).count()) === 0);
  await page.goto(`${demo.url}admin/audit?tool=github_list_issues`);
  const listed = await alice.text();
  tally.check("no scripts: the log is filtered", /github_list_issues/.test(listed) && !/hubspot_search_records/.test(listed), listed);
  await page.goto(`${demo.url}tokens`);
  await page.getByLabel(/Name/).first().fill("No scripts");
  await page.getByRole("button", { name: /Make|Create/ }).click();
  tally.check("no scripts: a token is made", /wbt_/.test(await page.content()), await alice.text());
  await page.goto(`${demo.url}connections`);
  await page.locator('main a[href*="connections/con_"]').last().click();
  await alice.press("Disconnect");
  await alice.press("Disconnect");
  tally.check("no scripts: and disconnected", /is disconnected/.test(await alice.text()), await alice.text());
}

/** What a filter is, in the fields of its form, and what each record that it shows must hold: the cells of the row. */
const filters = ({ account, call }) => [
  ["a person", { Person: person(7) }, ({ who }) => who === person(7)],
  ["an integration", { Integration: "GitHub", Kind: "calls" }, ({ what }) => what.startsWith("github_")],
  ["an account", { Account: account }, ({ who, what }) => who === person(7) && what.startsWith("github_")],
  ["a tool", { "Tool or block": "github_save_issue" }, ({ what }) => what.startsWith("github_save_issue")],
  ["an effect", { Effect: "destructive" }, ({ what }) => what.includes("destructive")],
  ["what failed", { Outcome: "not-ok" }, ({ outcome }) => outcome !== "ok"],
  ["an outcome", { Outcome: "timeout" }, ({ outcome }) => outcome === "timeout"],
  ["a thread", { Thread: "thread-4711" }, ({ thread }) => thread === "thread-4711"],
  ["a day", day(), ({ at }) => at.startsWith(day().From)],
  ["what a person failed at", { Person: person(7), Outcome: "not-ok" }, ({ who, outcome }) => who === person(7) && outcome !== "ok"],
  ["a tool that failed in a month", { "Tool or block": "google_delete_item", Outcome: "not-ok", From: day(-30).From, Until: day().From }, ({ what, outcome }) => what.startsWith("google_delete_item") && outcome !== "ok"],
  ["a call's id", { Search: call }, undefined],
  ["an address as words", { Search: person(9) }, ({ who }) => who === person(9)],
  ["a part of a word", { Search: "limit" }, ({ outcome }) => outcome.includes("limit")],
];

/** A whole day of the year, half a year ago and so many days later. */
function day(later = 0) {
  const at = new Date(Date.now() + (later - 180) * 86_400_000).toISOString().slice(0, 10);
  return { From: at, Until: at };
}

/** The records on the page. */
const records = (page) =>
  page.locator("#rows tr").evaluateAll((rows) =>
    rows.map((row) => {
      const [, who, what, , outcome, , thread] = [...row.cells].map((cell) => cell.innerText.trim());
      return { seq: Number(row.dataset.seq), at: row.querySelector("time").dateTime, who, what, outcome, thread };
    }),
  );

/** The log of an organization with a year of calls, looked through by each filter, in a browser. */
async function longLog({ tally, demo, enter }) {
  if (!demo.year) return console.log("SKIPPED a long log: there is no PostgreSQL");
  const alice = await enter(ALICE);
  const { page } = alice;
  for (const [name, fields, fits] of filters(demo.year)) {
    await page.goto(`${demo.url}admin/audit`);
    for (const [label, value] of Object.entries(fields)) {
      const field = page.getByRole("search").getByLabel(label, { exact: true });
      if ((await field.evaluate((one) => one.tagName)) === "SELECT") await field.selectOption(value);
      else await field.fill(value);
    }
    await alice.press("Filter");
    await page.waitForURL((url) => url.search !== "" || url.pathname.includes("/call_"));
    if (!fits) {
      tally.check(`${name}: leads to it`, new URL(page.url()).pathname.endsWith(demo.year.call), page.url());
      continue;
    }
    const ready = await readiness(page);
    tally.check(`${name}: ready within 200 ms of ${CALLS} calls`, ready <= QUICK, ready);
    const shown = await records(page);
    tally.check(`${name}: all records fit`, shown.length > 0 && shown.every(fits), shown.filter((one) => !fits(one)).slice(0, 3));
    const older = page.getByRole("link", { name: /^(Older|Go on searching)$/ });
    if ((await older.count()) === 0) continue;
    await older.click();
    await page.waitForURL(/before=/);
    const next = await records(page);
    const least = Math.min(...shown.map(({ seq }) => seq));
    tally.check(`${name}: the next page goes on`, next.length > 0 && next.every((one) => one.seq < least && fits(one)), next.slice(0, 3));
  }
  await page.goto(`${demo.url}admin/audit?person=${encodeURIComponent(person(7))}`);
  const bars = page.locator("svg.chart a");
  const bar = bars.nth(Math.floor((await bars.count()) / 2));
  await page.goto(new URL(await bar.getAttribute("href"), page.url()).href);
  const [from, to] = [await page.getByLabel("From", { exact: true }).inputValue(), await page.getByLabel("Until", { exact: true }).inputValue()];
  const inside = ({ at, who }) => who === person(7) && at.slice(0, 10) >= from.slice(0, 10) && at.slice(0, 10) <= to.slice(0, 10);
  const narrowed = await records(page);
  tally.check("a bar of the chart narrows the filter to its time", from !== "" && to !== "" && narrowed.length > 0 && narrowed.every(inside), [from, to, narrowed.slice(0, 3)]);
}

const tally = new Tally();
const parts = { everyPage, lightAndQuick, apart, withoutScripts, life };
for (const [subject, start, own] of [
  ["demo", () => Demo.start(), parts],
  ["serve", () => served(CALLS), { ...parts, longLog }],
]) {
  tally.subject = subject;
  const rig = { tally, ...(await world(await start(), (origins) => Chromium.launch(chromium, origins))) };
  for (const [name, part] of Object.entries(own)) await rig.browser.part(tally, name, () => part(rig));
  await rig.browser.close();
  await rig.demo.stop();
}
tally.end("pages");
