// The whole OAuth dance with the TypeScript SDK's helper, and the pages that people meet on the way, in headless
// Chromium against `serve` on PostgreSQL: `node checks.mjs`, after `npm install` here.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { chromium } from "playwright-core";

import { Chromium } from "../shared/browser.mjs";
import { attempt, callback, Keeper } from "../shared/oauth.mjs";
import { Postgres } from "../shared/postgres.mjs";
import { Demo, Serve, Tally, until } from "../shared/rig.mjs";

const ADMIN = "root@example.test";
const ANN = "ann@example.test";
const PASSWORD = "four words in a row";
const NEW_PASSWORD = "five other words in a row";
const ISSUE = { repo: "acme/site", title: "From the checks" };

const isOurs = (served) => (url) => url.href.startsWith(served.url);

/** From the printed link to an admin with a password, an invitation, and somebody who joins by it. */
async function people({ tally, served, browser }) {
  const root = await browser.person("root");
  await root.page.goto(served.firstAdminLink);
  await root.fill({ "E-mail address": ADMIN, "New password": PASSWORD, "The same password again": `${PASSWORD}!` });
  await root.press("Join");
  const alert = await root.page.getByRole("alert").innerText();
  tally.check("two passwords that differ are told", alert.length > 0, alert);
  await root.fill({ "E-mail address": ADMIN, "New password": PASSWORD, "The same password again": PASSWORD });
  await root.press("Join");
  await root.page.waitForURL("**/connections");
  tally.check("the first link makes an admin", await root.page.getByRole("link", { name: "People" }).isVisible());
  const late = await browser.person("late");
  await late.page.goto(served.firstAdminLink);
  tally.check("and works once", (await late.page.getByLabel("New password").count()) === 0, await late.text());

  const signOut = () => root.page.locator("header").getByRole("button", { name: "Sign out" }).click();
  await signOut();
  await root.page.goto(`${served.url}login`);
  await root.signIn(ADMIN, PASSWORD);
  await root.page.waitForURL("**/connections");
  await root.page.goto(`${served.url}account`);
  await root.fill({
    "Old password": PASSWORD,
    "New password": NEW_PASSWORD,
    "The same password again": NEW_PASSWORD,
  });
  await root.press("Set the password");
  await root.page.waitForLoadState();
  await signOut();
  await root.page.goto(`${served.url}login`);
  await root.signIn(ADMIN, PASSWORD);
  const said = await root.page.getByRole("alert").innerText();
  tally.check("the old password is over", said.length > 0, said);
  await root.signIn(ADMIN, NEW_PASSWORD);
  await root.page.waitForURL("**/connections");
  tally.check("the new one signs in", new URL(root.page.url()).pathname === "/connections", root.page.url());

  await root.page.goto(`${served.url}admin/people`);
  await root.fill({ "E-mail address": ANN });
  await root.press("Make the link");
  const link = await root.page.getByLabel("Link", { exact: true }).inputValue();
  const ann = await browser.person("ann");
  await ann.page.goto(link);
  tally.check("an invitation says for whom it is", (await ann.text()).includes(ANN), await ann.text());
  await ann.fill({ "New password": PASSWORD, "The same password again": PASSWORD });
  await ann.press("Join");
  await ann.page.waitForURL("**/connections");
  tally.check("who joins is no admin", (await ann.page.getByRole("link", { name: "People" }).count()) === 0);
  browser.check(tally, "people");
  return { root, ann };
}

/** What the browser hears is worth nothing unless it hears what is wrong: a script in the page, and one that fails. */
async function hearing({ tally, served, browser }) {
  const { page, complaints } = await browser.person("hearing");
  await page.goto(`${served.url}login`);
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
  });
  const stopped = await until(() => complaints.some((what) => what.includes("the policy stops script-src")));
  tally.check("a script in the page is stopped, and heard of", stopped && !(await page.evaluate(() => window.ran)), complaints);
  complaints.length = 0;
  await page.evaluate(() => void setTimeout(() => missing(), 0));
  tally.check("a script that fails is heard of", await until(() => complaints.length > 0), complaints);
  complaints.length = 0;
}

/** A client of the SDK, and the person whom it sends to the consent page. */
class Dance {
  constructor(served, person, back) {
    Object.assign(this, { served, person, back, keeper: new Keeper(back) });
  }

  open() {
    this.transport = new StreamableHTTPClientTransport(new URL(this.served.mcp), { authProvider: this.keeper });
    this.client = new Client({ name: "browser-checks", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
    return this.client.connect(this.transport);
  }

  call(name, args) {
    return this.client.callTool({ name, arguments: args });
  }

  /** Where the person was sent last. */
  get asked() {
    return this.keeper.sentTo.at(-1);
  }

  /** The person follows the link and decides; answers where they are sent back to. */
  async decide(decision, without = []) {
    const { page } = this.person;
    if (page.url() !== this.asked.href) await page.goto(this.asked.href);
    for (const name of without) await page.getByRole("checkbox", { name }).uncheck();
    await this.person.press(decision);
    await page.waitForURL((url) => url.href.startsWith(this.back));
    return new URL(page.url());
  }
}

async function dance({ tally, served, browser }, { root, ann }) {
  const server = await callback();
  const back = `http://127.0.0.1:${server.address().port}/callback`;
  try {
    // Somebody who is not signed in comes past the sign-in page.
    const somewhere = await browser.person("ann elsewhere");
    const declined = new Dance(served, somewhere, back);
    await attempt(() => declined.open());
    await somewhere.page.goto(declined.asked.href);
    tally.check("who is not signed in is asked to", new URL(somewhere.page.url()).pathname === "/login", somewhere.page.url());
    await somewhere.signIn(ANN, PASSWORD);
    await somewhere.page.getByRole("button", { name: "Approve" }).waitFor();
    const page = await somewhere.text();
    const told = ["Checks", "unverified", "127.0.0.1", "GitHub", "HubSpot"].filter((word) => !page.includes(word));
    tally.check("the page says who asks, where access goes and to what", told.length === 0, [told, page]);
    await somewhere.press("Decline");
    await somewhere.page.waitForURL((url) => url.href.startsWith(back));
    const no = new URL(somewhere.page.url()).searchParams;
    const says = no.get("error") === "access_denied" && no.get("iss") !== null;
    tally.check("declining is told to the client", says, no.toString());
    tally.check("who has no token gets none", declined.keeper.held === undefined, declined.keeper.held);

    const ours = new Dance(served, ann, back);
    await attempt(() => ours.open());
    const landed = await ours.decide("Approve", ["HubSpot"]);
    tally.check("the code comes back with the state and the server's name", landed.searchParams.get("code") &&
      landed.searchParams.get("state") === ours.asked.searchParams.get("state") && landed.searchParams.get("iss"), landed.href);
    await ours.transport.finishAuth(landed.searchParams);
    const narrow = ours.keeper.held.scope;
    tally.check("access is to the systems that were left", /^tools:read integration:github/.test(narrow) && !narrow.includes("hubspot"), narrow);
    await ours.open();
    const read = await ours.call("github_get_viewer", {});
    tally.check("the client reads", !read.isError, read);

    const refresh = ours.keeper.held.refresh_token;
    ours.keeper.held = { ...ours.keeper.held, access_token: "wba_gone" };
    const again = await ours.call("github_get_viewer", {});
    const rotated = ours.keeper.held.refresh_token !== refresh && ours.keeper.sentTo.length === 1;
    tally.check("it refreshes without asking", !again.isError && rotated, again);

    // Writing needs more, and more of the person.
    const refused = await attempt(() => ours.call("github_save_issue", ISSUE));
    const wanted = ours.asked.searchParams.get("scope");
    const asks = ours.keeper.sentTo.length === 2 && wanted.includes("tools:write");
    tally.check("a call that needs more sends the person again", asks, [wanted, String(refused.error)]);
    await ann.page.goto(ours.asked.href);
    const isTicked = await ann.page.getByRole("checkbox", { name: "tools:write" }).isChecked();
    tally.check("the page asks for writing", isTicked, await ann.text());
    const more = await ours.decide("Approve");
    await ours.transport.finishAuth(more.searchParams);
    const written = await attempt(() => ours.call("github_save_issue", ISSUE));
    tally.check("and the same call is let through", !written.error && ours.keeper.sentTo.length === 2, String(written.error));

    await ann.page.goto(`${served.url}clients`);
    const listed = await ann.text();
    tally.check("the client is listed with what it may", listed.includes("Checks") && listed.includes("tools:write"), listed);
    await root.page.goto(`${served.url}clients`);
    tally.check("and nobody else's page lists it", !(await root.text()).includes("Checks"), await root.text());
    await ann.press("Sign out");
    await ann.page.waitForURL(isOurs(served));
    const out = await attempt(() => ours.call("github_get_viewer", {}));
    tally.check("signed out, it has to ask again", ours.keeper.sentTo.length === 3, [String(out.error), out.value]);
    await ours.client.close();
    browser.check(tally, "dance");
  } finally {
    server.close();
  }
}

/** Connecting an account: refused at the provider, and approved in a popup. */
async function connecting({ tally, served, browser }, { ann }) {
  await ann.page.goto(`${served.url}connections`);
  const popup = async () => {
    const opened = await ann.popup("Connect GitHub");
    await ann.press("Continue to GitHub", opened);
    return opened;
  };
  const denied = await popup();
  await ann.decide(undefined, "Deny", denied);
  await denied.waitForURL(isOurs(served));
  const said = await ann.text(denied);
  tally.check("denied at the provider, the page says so", said.includes("nothing was connected"), said);
  tally.check("and offers to begin again", await denied.getByRole("link", { name: /again/ }).isVisible(), said);
  await denied.close();

  const approved = await popup();
  const closed = approved.waitForEvent("close");
  await ann.decide(/alice-dev/, "Approve", approved);
  await closed;
  tally.check("approved, the popup closes itself", approved.isClosed(), "open");
  const shown = ann.page.getByRole("main").getByText("alice-dev").first();
  await shown.waitFor();
  tally.check("and the page that opened it shows the account", await shown.isVisible(), ann.page.url());
  browser.check(tally, "connecting");
}

const tally = new Tally();
const demo = await Demo.start();
const database = await Postgres.start();
const served = await Serve.start(demo, database ? { WORKBENCH_DATABASE_URL: database.url } : {});
const browser = await Chromium.launch(chromium, [served.url]);
const rig = { tally, served, browser };
await browser.part(tally, "hearing", () => hearing(rig));
const known = await browser.part(tally, "people", () => people(rig));
if (known) {
  await browser.part(tally, "connecting", () => connecting(rig, known));
  await browser.part(tally, "dance", () => dance(rig, known));
}
await browser.close();
await served.stop();
await database?.stop();
await demo.stop();
tally.end("browser");
