// The example workbenches against the demo, for two people at once: `node checks.mjs`, after `npm install` here.

import { ALICE, BOB, Browser, Demo, Tally } from "../shared/rig.mjs";
import { EXAMPLES, run } from "./run.mjs";

const ACCOUNTS = { [ALICE]: "alice-dev", [BOB]: "bob-ops" };

/** Runs an example; people connect their accounts when they are asked to. */
async function runFor(demo, example, people = [ALICE, BOB], args = []) {
  const asked = [];
  const connect = (person, line) => {
    asked.push(`${person} ${line}`);
    const link = new URL("connect/github", demo.url).href;
    return new Browser().connect(link, demo.tokens[person], ACCOUNTS[person]);
  };
  const tokens = Object.fromEntries(people.map((person) => [person, demo.tokens[person]]));
  const env = { WORKBENCH_TOKENS: JSON.stringify(tokens) };
  return { asked, ...(await run(example, { args: ["--mcp", demo.mcp, ...args], env, help: connect })) };
}

async function check(tally, name, demo, example) {
  const began = Date.now();
  const first = await runFor(demo, example);
  const links = first.asked.filter((line) => line.endsWith(`connected: ${demo.url}connections`));
  tally.check(`${name}: both are asked to connect, with a link`, links.length === 2, first);
  tally.check(`${name}: it goes on by itself and ends well`, first.code === 0, first);
  for (const person of [ALICE, BOB]) {
    const { uri, size, at } = first.blocks[person] ?? {};
    const own = uri?.startsWith(`github://${ACCOUNTS[person]}/`);
    tally.check(`${name}: ${person} has a block of their own account`, own && size > 100, first);
    tally.check(`${name}: ${person} is told how fresh it is`, at >= began - 1000 && at <= Date.now() + 1000, first);
    const [entry] = await demo.auditOf(first.threads[person]);
    tally.check(`${name}: the thread's story is ${person}'s`, entry?.email === person, entry);
  }
  tally.check(`${name}: two threads`, first.threads[ALICE] !== first.threads[BOB], first.threads);

  // Taken back at the provider, noticed while choosing, and noticed by a thread that has its block already.
  for (const args of [[], ["--block", `github://${ACCOUNTS[BOB]}/acme/site`]]) {
    const how = args.length ? "by a thread" : "while choosing";
    await demo.tell("github", { do: "revoke", account: ACCOUNTS[BOB] });
    const again = await runFor(demo, example, args.length ? [BOB] : [ALICE, BOB], args);
    const [line = "", ...more] = again.asked;
    const leads = line.startsWith(BOB) && line.includes(`${demo.url}connect`) && more.length === 0;
    tally.check(`${name}: only whose account is taken back is asked, ${how}`, leads, again);
    tally.check(`${name}: and goes on, ${how}`, again.code === 0 && again.blocks[BOB]?.size > 100, again);
  }

  const foreign = await runFor(demo, example, [ALICE, BOB], ["--block", `github://${ACCOUNTS[ALICE]}/acme/site`]);
  tally.check(`${name}: a person's block is theirs`, foreign.blocks[ALICE]?.size > 100, foreign);
  const refused = foreign.code === 1 && foreign.said.includes(`${BOB}  failed`) && !foreign.blocks[BOB];
  tally.check(`${name}: and nobody else's`, refused, foreign);

  const stranger = await run(example, {
    args: ["--mcp", demo.mcp],
    env: { WORKBENCH_TOKENS: JSON.stringify({ [ALICE]: demo.tokens[ALICE], "mallory@example.test": "wbt_unknown" }) },
  });
  const alone = stranger.code === 1 && stranger.said.includes("mallory@example.test  failed") && stranger.blocks[ALICE];
  tally.check(`${name}: one person's trouble is not another's`, alone, stranger);
}

const tally = new Tally();
for (const example of EXAMPLES) {
  const demo = await Demo.start();
  try {
    await check(tally, example.name, demo, example);
  } catch (error) {
    tally.check(`${example.name} runs to its end`, false, error);
  } finally {
    await demo.stop();
  }
}
tally.end("workbench");
