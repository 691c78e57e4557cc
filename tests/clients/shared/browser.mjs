// People at a real browser: headless Chromium, driven by what a person sees (roles, labels, words), never by classes.
//
// Whatever a page of ours complains about on the way (a script error, a line of the console, something the content
// security policy stops) is kept, and `Chromium.check` makes a failed check of it.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { ROOT } from "./rig.mjs";

const EXECUTABLE = process.env.CLIENTS_CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"];
/** Where pictures of failures are put; not under version control. */
const PICTURES = join(ROOT, "target/ci/screenshots");
/** How long anything on a page may take, in milliseconds. */
const PATIENCE = 15_000;

/** One Chromium, and whoever sits at it. */
export class Chromium {
  #people = [];

  /** `playwright` is `chromium` of playwright-core, `origins` are those whose pages must not complain. */
  static async launch(playwright, origins) {
    const launched = new Chromium();
    launched.origins = origins.map((url) => new URL(url).origin);
    launched.browser = await playwright.launch({ executablePath: EXECUTABLE, args: ARGUMENTS });
    return launched;
  }

  /** Somebody new, with cookies of their own; `options` are those of a Playwright context. */
  async person(name, options = {}) {
    const context = await this.browser.newContext(options);
    context.setDefaultTimeout(PATIENCE);
    const person = new Person(name, context, this.origins);
    await person.begin();
    this.#people.push(person);
    return person;
  }

  /** Runs a part of the checks; when it breaks off, that is a failed check, with pictures of what stood there. */
  async part(tally, name, action) {
    try {
      return await action();
    } catch (error) {
      const pictures = [];
      for (const person of this.#people) pictures.push(...(await person.pictures(name).catch(() => [])));
      tally.check(`${name}: runs to its end`, false, new Error(`${error.stack}\npictures: ${pictures.join(", ")}`));
      return undefined;
    }
  }

  /** Checks that no page of ours complained since the last time. */
  check(tally, name) {
    const complaints = this.#people.flatMap((person) => person.complaints.splice(0));
    tally.check(`${name}: no page complains`, complaints.length === 0, complaints);
  }

  async close() {
    await this.browser.close();
  }
}

/** A person at a browser. `page` is the window that they use first. */
export class Person {
  complaints = [];
  #refused = new Set();

  constructor(name, context, origins) {
    Object.assign(this, { name, context, origins });
  }

  async begin() {
    await this.context.exposeBinding("complainOfPolicy", ({ frame }, what) => this.#complain(frame.url(), what));
    await this.context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) => {
        window.complainOfPolicy(`the policy stops ${violatedDirective} ${blockedURI} ${sourceFile}`);
      });
    });
    this.context.on("weberror", (error) => this.#complain(error.page()?.url() ?? "", String(error.error())));
    // A page that is refused is an answer that a check looks at; Chromium also writes it on the console.
    this.context.on("response", (answer) => {
      if (answer.status() >= 400 && answer.request().isNavigationRequest()) this.#refused.add(answer.url());
    });
    this.context.on("console", (line) => {
      const { url } = line.location();
      const isAnswer = line.text().startsWith("Failed to load resource: the server responded") && this.#refused.has(url);
      if (["error", "warning"].includes(line.type()) && !isAnswer) this.#complain(url || line.page()?.url(), line.text());
    });
    this.page = await this.context.newPage();
  }

  #complain(url, what) {
    const ours = this.origins.some((origin) => url === origin || url?.startsWith(`${origin}/`));
    if (ours) this.complaints.push(`${this.name} at ${url}: ${what}`);
  }

  /** What stands on the page, as a person reads it. */
  text(page = this.page) {
    return page.locator("main").innerText();
  }

  /** The page's first heading. */
  heading(page = this.page) {
    return page.getByRole("heading", { level: 1 }).first().innerText();
  }

  /** Presses a button of the page itself, or follows a link that looks like one; not those of the navigation. */
  async press(name, page = this.page) {
    const exact = { name, exact: true };
    const main = page.locator("body, main").last();
    await main.getByRole("button", exact).or(main.getByRole("link", exact)).first().click();
  }

  /** Fills in fields by their labels. */
  async fill(fields, page = this.page) {
    for (const [label, value] of Object.entries(fields)) {
      await page.getByLabel(label, { exact: true }).first().fill(value);
    }
  }

  /** Signs in with a password, on the sign-in page that stands there. */
  async signIn(email, password, page = this.page) {
    await this.fill({ "E-mail address": email, Password: password }, page);
    await this.press("Sign in", page);
  }

  /** Signs in with a personal access token. */
  async signInWithToken(token, page = this.page) {
    await page.getByText("Sign in with a token instead").click();
    await this.fill({ "Personal access token": token }, page);
    // The form above it has a button of the same name.
    await page.getByLabel("Personal access token").press("Enter");
  }

  /** At the sandbox's consent page: picks an account and decides. */
  async decide(account, decision, page = this.page) {
    await page.getByRole("heading", { name: /^Sandbox / }).waitFor();
    if (account) await page.getByRole("radio", { name: account }).check();
    await this.press(decision, page);
  }

  /** Presses what opens a window of its own; answers that window. */
  async popup(name) {
    const opened = this.context.waitForEvent("page");
    await this.press(name);
    return opened;
  }

  /** Pictures of all windows; answers their files. */
  async pictures(name) {
    await mkdir(PICTURES, { recursive: true });
    const files = [];
    for (const [index, page] of this.context.pages().entries()) {
      const path = join(PICTURES, `${name}-${this.name}-${index}.png`.replaceAll(/[^\w.-]+/g, "-"));
      await page.screenshot({ path, fullPage: true });
      files.push(path);
    }
    return files;
  }
}
