// A picture of every page, light and dark, phone and desktop, in target/screenshots: `node pictures.mjs`, after
// `npm install` here. `node pictures.mjs admin` takes those whose names begin so.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { Chromium } from "../shared/browser.mjs";
import { Demo, ROOT } from "../shared/rig.mjs";
import { PAGES, world } from "./world.mjs";

const FOLDER = process.env.PICTURES ?? join(ROOT, "target/screenshots");
const LOOKS = [
  ["desktop-light", { viewport: { width: 1280, height: 860 }, colorScheme: "light" }],
  ["desktop-dark", { viewport: { width: 1280, height: 860 }, colorScheme: "dark" }],
  ["phone-light", { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true }],
  ["phone-dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true }],
];

const wanted = process.argv[2] ?? "";
await mkdir(FOLDER, { recursive: true });
const { demo, browser, enter, address } = await world(await Demo.start(), (origins) => Chromium.launch(chromium, origins));
for (const [look, options] of LOOKS) {
  const people = new Map();
  for (const [name, path, who] of PAGES.filter(([name]) => name.startsWith(wanted))) {
    if (!people.has(who)) people.set(who, who ? await enter(who, options) : await browser.person("nobody", options));
    const { page } = people.get(who);
    await page.goto(address(path));
    await page.screenshot({ path: join(FOLDER, `${name}-${look}.png`), fullPage: true });
  }
}
await browser.close();
await demo.stop();
console.log(`pictures are in ${FOLDER}`);
