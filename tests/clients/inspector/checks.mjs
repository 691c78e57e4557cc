// The Inspector's command line against the real binary, as the repository's mcp.json sets both servers up:
// `node checks.mjs` with Node 22.19 or newer, after `npm install` here.

import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";

import { ALICE, BINARY, Browser, Demo, ROOT, Tally } from "../shared/rig.mjs";

const packed = dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json"));
const PROGRAM = join(packed, JSON.parse(readFileSync(join(packed, "package.json"))).bin["mcp-inspector"]);
const SEARCH = "hubspot_search_records";

const tally = new Tally();
const demo = await Demo.start();
try {
  await new Browser().connect(`${demo.url}connect/github`, demo.tokens[ALICE]);
  await new Browser().connect(`${demo.url}connect/hubspot`, demo.tokens[ALICE]);
  const config = ourConfig();
  for (const server of ["workbench-http", "workbench"]) {
    for (const era of ["legacy", "modern"]) await checks(config, server, era);
  }
} catch (error) {
  tally.check("runs to its end", false, error);
} finally {
  await demo.stop();
}
tally.end("inspector");

/** The repository's mcp.json with what a person fills in; this client expands no variables by itself. */
function ourConfig() {
  const text = readFileSync(join(ROOT, "mcp.json"), "utf8").replace("${WORKBENCH_TOKEN}", demo.tokens[ALICE]);
  const config = JSON.parse(text);
  config.mcpServers["workbench-http"].url = demo.mcp;
  const PATH = [dirname(BINARY), process.env.PATH].join(delimiter);
  config.mcpServers.workbench.env = { ...demo.environment(), PATH, WORKBENCH_USER: ALICE };
  const path = join(demo.directory, "mcp.json");
  writeFileSync(path, JSON.stringify(config));
  return path;
}

async function checks(config, server, era) {
  const run = (method, ...more) => inspect(config, server, era, "--method", method, ...more);
  const check = (name, holds, detail) => tally.check(`${server} ${era}: ${name}`, holds, detail);

  const { tools, ...listed } = await run("tools/list");
  check("tools/list", tools?.some((tool) => tool.name === SEARCH && tool.inputSchema), listed);
  const called = await run("tools/call", "--tool-name", SEARCH, "--tool-arg", "object_type=contacts", "q=ada");
  check("tools/call", called.structuredContent?.items?.length > 0 && !called.isError, called);
  const failed = await run("tools/call", "--tool-name", SEARCH, "--tool-arg", "object_type=7");
  check("tools/call of a tool that fails", failed.isError === true, failed);
  const { resourceTemplates, ...rest } = await run("resources/templates/list");
  const block = "github://{account}/{owner}/{repo}";
  check("resources/templates/list", resourceTemplates?.some((template) => template.uriTemplate === block), rest);
  const read = await run("resources/read", "--uri", "github://alice-dev/acme/site");
  check("resources/read", read.contents?.[0]?.text?.includes("acme/site"), read);
}

/** Runs the Inspector once; answers the result it prints, else what it says. */
function inspect(config, server, era, ...request) {
  const args = [PROGRAM, "--cli", "--config", config, "--server", server, "--protocol-era", era, "--quiet", ...request];
  const env = { ...process.env, HOME: demo.directory };
  return new Promise((done) => {
    execFile(process.execPath, args, { env, timeout: 60_000, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      try {
        done(JSON.parse(stdout));
      } catch {
        done({ error: error?.message, stdout, stderr });
      }
    });
  });
}
