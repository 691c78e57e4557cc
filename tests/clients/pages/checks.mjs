// Every page in headless Chromium: no violation of axe-core's rules, light, dark, narrow and wide; little weight, quick,
// nothing inline; the life of a connection with its unhappy endings; two people who never see each other's things; and
// the essential paths without scripts. `node checks.mjs`, after `npm install` here.

import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

import { chromium } from "playwright-core";

import { Chromium } from "../shared/browser.mjs";
import { Tally } from "../shared/rig.mjs";
import { ALICE, BOB, PAGES, call, connect, world } from "./world.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Largest first visit to a page, in bytes over the wire. */
const WEIGHT = 100 * 1024;
/** Longest wait until a page can be used, in milliseconds. */
const QUICK = 200;
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

const tally = new Tally();
const known = await world((origins) => Chromium.launch(chromium, origins));
const rig = { tally, ...known };
for (const [name, part] of Object.entries({ everyPage, lightAndQuick, apart, withoutScripts, life })) {
  await rig.browser.part(tally, name, () => part(rig));
}
await rig.browser.close();
await rig.demo.stop();
tally.end("pages");
