// The checks that every TypeScript client passes, whatever its major version.
//
// A suite gives `connect({ demo, transport, era, email, elicit, changed })`, which answers
// `{ client, call(name, arguments, options), version() }`: `elicit` plays the person when the client asks through a
// handler, and `changed` is told the method of every notification.

import { ALICE, BOB, Browser, Demo, Tally, until } from "./rig.mjs";

export const CURRENT = "2026-07-28";
export const LEGACY = "2025-11-25";
const URL_ELICITATION_REQUIRED = -32042;
const INVALID_PARAMS = -32602;
const RESOURCE_NOT_FOUND = -32002;
/** Long enough that nobody waits for it by accident. */
const STALL_MS = 60_000;

/** Runs all checks over each variant `{ transport, era }`. */
export async function runSuite(suite, variants, connect) {
  const tally = new Tally();
  for (const { transport, era } of variants) {
    const label = `${transport} ${era}`;
    try {
      await variant({ tally, label, transport, era, connect });
    } catch (error) {
      tally.check(`${label}: runs to its end`, false, error);
    }
  }
  tally.end(suite);
}

async function variant({ tally, label, transport, era, connect }) {
  const demo = await Demo.start();
  const open = [];
  const as = async (email, more = {}) => {
    const opened = await connect({ demo, transport, era, email, ...more });
    open.push(opened.client);
    return opened;
  };
  const check = (name, holds, detail) => tally.check(`${label}: ${name}`, holds, detail);
  try {
    await connecting({ demo, check, era, as });
    const session = await as(ALICE);
    await lists({ check, ...session });
    await calls({ demo, check, ...session });
    await blocks({ check, ...session });
    await cancellation({ demo, check, ...session });
    await errors({ demo, check, era, ...session });
    await takenBack({ demo, check, ...session });
    await withoutQuestions({ check, as });
    if (transport !== "stdio") await strangers({ demo, check, connect, transport, era });
  } finally {
    for (const client of open) await client.close().catch(() => {});
    await demo.stop();
  }
}

/** All entries of a list, cursor by cursor. */
async function everyPage(fetch, field) {
  const entries = [];
  let cursor;
  for (let pages = 0; pages < 100; pages += 1) {
    const page = await fetch(cursor === undefined ? undefined : { cursor }, { cacheMode: "refresh" });
    entries.push(...page[field]);
    cursor = page.nextCursor;
    if (cursor === undefined) return entries;
  }
  throw new Error(`the pages of ${field} have no end`);
}

/** The error that a request met. */
const refused = (request) => request.then(() => undefined, (error) => error);

/** The failure that a tool told the model. */
const problem = (result) => (result.isError ? result.structuredContent?.error : undefined) ?? {};

const accountsOf = async (client) =>
  JSON.parse((await client.readResource({ uri: "workbench://accounts" })).contents[0].text).accounts;

/** From nothing to a working call, with the person's part played by a browser. */
async function connecting({ demo, check, era, as }) {
  const changes = new Set();
  const asked = [];
  let willing = false;
  const elicit = async (question) => {
    asked.push(question);
    if (!willing) return { action: "decline" };
    await new Browser().connect(question.url, demo.tokens[ALICE]);
    return { action: "accept" };
  };
  const { client, call, version } = await as(ALICE, { elicit, changed: (method) => changes.add(method) });
  check(`speaks ${era}`, version() === era, version());
  check("introduces itself", client.getServerVersion()?.name === "workbench-mcp", client.getServerVersion());
  check("instructs the model", client.getInstructions()?.includes("account"), client.getInstructions());
  const before = await everyPage((...page) => client.listTools(...page), "tools");
  const needless = before.filter(({ name }) => !name.startsWith("health_"));
  check("without an account, lists only the tools that need none", before.length > 0 && needless.length === 0, needless);

  if (era === CURRENT) {
    let result = await call("github_get_viewer", {});
    check("a question declined fails the call", problem(result).message?.includes("declined"), result);
    asked.length = 0;
    willing = true;
    result = await call("github_get_viewer", {});
    check("asks for the account once, by a link", asked.length === 1 && asked[0].mode === "url", asked);
    check("the same call goes on once it is connected", !result.isError, result);
  } else {
    const error = await refused(call("github_get_viewer", {}));
    const question = error?.data?.elicitations?.[0] ?? error?.elicitations?.[0];
    const isLink = error?.code === URL_ELICITATION_REQUIRED && question?.mode === "url";
    check(`asks for the account by error ${URL_ELICITATION_REQUIRED}`, isLink, error);
    willing = true;
    await elicit(question);
    const completed = await until(() => changes.has("notifications/elicitation/complete"));
    check("says that the question is answered", completed, [...changes]);
    const result = await call("github_get_viewer", {});
    check("the call works then", !result.isError, result);
  }
  const lists = ["notifications/tools/list_changed", "notifications/resources/list_changed"];
  const heard = await until(() => lists.every((method) => changes.has(method)));
  check("says that tools and resources changed", heard, [...changes]);
  const names = (await everyPage((...page) => client.listTools(...page), "tools")).map((tool) => tool.name);
  const once = names.length === new Set(names).size;
  check("lists GitHub's tools then, each once", names.includes("github_search") && once, names);
}

async function lists({ check, client }) {
  const tools = await everyPage((...page) => client.listTools(...page), "tools");
  const undescribed = tools.filter((tool) => !tool.title || !tool.description).map((tool) => tool.name);
  check("every tool has a title and a description", undescribed.length === 0, undescribed);
  const shapeless = tools.filter((tool) => tool.inputSchema?.type !== "object" || !tool.outputSchema);
  check("every tool has both schemas", shapeless.length === 0, shapeless);
  const reads = (name) => tools.find((tool) => tool.name === name)?.annotations?.readOnlyHint === true;
  check("reading and writing tools are told apart", reads("github_search") && !reads("github_save_issue"), tools);
  const templates = await everyPage((...page) => client.listResourceTemplates(...page), "resourceTemplates");
  const known = templates.some((template) => template.uriTemplate === "github://{account}/{owner}/{repo}");
  check("lists templates of context blocks", known, templates);
  const resources = await everyPage((...page) => client.listResources(...page), "resources");
  const uris = resources.map((resource) => resource.uri);
  check("lists the accounts", uris.join() === "workbench://accounts", uris);
}

async function calls({ demo, check, call }) {
  let result = await call("github_list_issues", { repo: "acme/site" });
  const data = result.structuredContent;
  // The SDK itself holds structured content against the listed output schema.
  check("answers with structure", data?.account === "alice-dev" && data.items.length > 0, result);
  check("says the same as text", result.content[0].text === JSON.stringify(data), result.content);
  check("names the call for the audit log", result._meta?.["workbench-mcp/call"]?.startsWith("call_"), result._meta);

  const steps = [];
  result = await call("github_import_docs", { repo: "acme/site" }, { onprogress: (step) => steps.push(step) });
  const grows = steps.every(({ progress, total }, i) => total && (i === 0 || progress > steps[i - 1].progress));
  check("reports progress in order", !result.isError && steps.length >= 2 && grows, steps);

  await demo.tell("github", { do: "expire_access_tokens" });
  result = await call("github_get_viewer", {});
  check("refreshes an expired token by itself", !result.isError, result);
}

/** A call that waits for the provider is cancelled: the wait ends, and the calls that would follow are never made. */
async function cancellation({ demo, check, call }) {
  const tree = "GET /repos/acme/site/git/trees/HEAD";
  const before = (await demo.report("github")).api_calls;
  const audited = (await demo.audit("github_import_docs")).length;
  await demo.tell("github", { do: "misbehave", at: "api", times: 1, fault: { kind: "stall", ms: STALL_MS } });
  const abort = new AbortController();
  const cancelled = refused(call("github_import_docs", { repo: "acme/site", dry_run: true }, { signal: abort.signal }));
  const asked = async () => (await demo.report("github")).api_calls[tree] > (before[tree] ?? 0);
  check("a stalled call reaches the provider", await until(asked), before);
  abort.abort("the person changed their mind");
  check("the client is told that the call is cancelled", (await cancelled) !== undefined);

  const ended = async () => {
    const entries = await demo.audit("github_import_docs");
    return entries.slice(0, entries.length - audited).find((entry) => entry.outcome === "cancelled");
  };
  const entry = await until(ended);
  check("cancelling ends the work long before the provider answers", entry, await demo.audit("github_import_docs"));
  const now = (await demo.report("github")).api_calls;
  const more = Object.keys(now).filter((path) => now[path] !== (before[path] ?? 0));
  check("nothing more is asked of the provider", more.join() === tree && now[tree] === before[tree] + 1, more);
  await demo.tell("github", { do: "behave" });
  const result = await call("github_get_viewer", {});
  check("the session goes on", !result.isError, result);
}

async function blocks({ check, client }) {
  const accounts = await accountsOf(client);
  const github = accounts.find((account) => account.integration === "github");
  check("reads the accounts", github?.status === "Connected", accounts);
  const uri = `github://${encodeURIComponent(github.account)}/acme/site`;
  const [block] = (await client.readResource({ uri })).contents;
  check("reads a context block", block.text.includes("acme/site"), block);
  check("the block says when it was fetched", block._meta?.["workbench-mcp/fetched_at"], block._meta);
  const ref = { type: "ref/resource", uri: "github://{account}/{owner}/{repo}" };
  let { completion } = await client.complete({ ref, argument: { name: "account", value: "al" } });
  check("completes an account", completion.values.join() === github.account, completion);
  const context = { arguments: { account: github.account, owner: "acme" } };
  ({ completion } = await client.complete({ ref, argument: { name: "repo", value: "s" }, context }));
  check("completes a repository within the chosen ones", completion.values.includes("site"), completion);
}

async function errors({ demo, check, era, client, call }) {
  let error = await refused(call("github_nothing", {}));
  check("an unknown tool is a protocol error", error?.code === INVALID_PARAMS, error);
  let result = await call("github_list_issues", { repo: 7 });
  check("wrong arguments are told to the model", problem(result).code === "invalid_input", result);
  const fault = { kind: "rate_limit", retry_after_s: 120 };
  await demo.tell("github", { do: "misbehave", at: "api", times: 20, fault });
  result = await call("github_get_repo", { repo: "acme/site" });
  await demo.tell("github", { do: "behave" });
  const limited = problem(result).code === "rate_limited" && problem(result).retry_after_s > 0;
  check("a rate limit says when to come back", limited, result);
  error = await refused(client.readResource({ uri: "github://alice-dev/nothing" }));
  const code = era === CURRENT ? INVALID_PARAMS : RESOURCE_NOT_FOUND;
  // The 2.x line makes one error of its own of both codes.
  const isOwnError = error?.constructor.name === "ResourceNotFoundError";
  check(`an unknown address is error ${code}`, error?.code === code || isOwnError, error);
}

async function takenBack({ demo, check, call }) {
  await demo.tell("github", { do: "revoke" });
  const result = await call("github_get_viewer", {});
  const { code, action_url: link = "" } = problem(result);
  const leads = decodeURIComponent(link).includes("/connect/github");
  check("an account taken back asks to be connected again", code === "reauth_required" && leads, result);
}

/** A client that cannot show links, and a person who must not see another's account. */
async function withoutQuestions({ check, as }) {
  const { client, call } = await as(BOB);
  const result = await call("github_get_viewer", {});
  const { code, action_url: link = "" } = problem(result);
  const told = code === "connection_missing" && result.content[0].text.includes(link);
  const leads = decodeURIComponent(link).includes("/connect/github");
  check("without questions, the link is in the answer", told && leads, result);
  check("nobody sees another's accounts", (await accountsOf(client)).length === 0, await accountsOf(client));
}

async function strangers({ demo, check, connect, transport, era }) {
  const tokens = { "mallory@example.test": `wbt_${"x".repeat(43)}` };
  const stranger = { ...demo, tokens };
  const error = await refused(connect({ demo: stranger, transport, era, email: "mallory@example.test" }));
  const said = `${error?.name} ${error?.message} ${error?.code}`;
  check("a stranger's token is refused", /401|unauthori[sz]ed|invalid_token/i.test(said), error);
}
