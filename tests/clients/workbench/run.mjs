// Runs the examples as a user does, and reads what they print.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
/** Longest run, in milliseconds. */
const PATIENCE = 60_000;

/** Both examples. CLIENTS_PYTHON names a Python that has what requirements.txt lists. */
export const EXAMPLES = [
  { name: "typescript", command: process.execPath, file: join(HERE, "workbench.ts") },
  { name: "python", command: process.env.CLIENTS_PYTHON ?? "python3", file: join(HERE, "workbench.py") },
];

/** Runs one. `help(person, line)` does what a line asks of a person; answers the lines of each person. */
export async function run(example, { args, env = {}, help = () => {} }) {
  const child = spawn(example.command, [example.file, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: PATIENCE,
  });
  const people = {};
  const helped = [];
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  const lines = createInterface(child.stdout).on("line", (line) => {
    const [person, what] = line.split(/ {2}(.*)/);
    (people[person] ??= []).push(what);
    if (what?.startsWith("please help: ")) helped.push(help(person, what));
  });
  const [code] = await Promise.all([
    new Promise((done) => child.on("close", done)),
    new Promise((done) => lines.on("close", done)),
  ]);
  await Promise.all(helped);
  return { code, said, people, ...told(people) };
}

/** What the lines say of each person's thread and block. */
function told(people) {
  const threads = {};
  const blocks = {};
  for (const [person, lines] of Object.entries(people)) {
    for (const line of lines) {
      const found = line.match(/^(thread-\S+) has (\S+): (\d+) characters, as of (\S+)$/);
      if (!found) continue;
      threads[person] = found[1];
      blocks[person] = { uri: found[2], size: Number(found[3]), at: Date.parse(found[4]) };
    }
  }
  return { threads, blocks };
}
