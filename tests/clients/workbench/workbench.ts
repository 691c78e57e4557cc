// An example: a workbench that acts for many people, each with an access token of their own.
//
// For every person it opens an MCP client, completes the address of a context block, and pulls the block into that
// person's thread. When an account is missing or has expired it shows the person the link, and goes on once they are done.
//
//   npm install --omit=dev
//   WORKBENCH_TOKENS='{"ann@example.com":"…","ben@example.com":"…"}' node workbench.ts [--mcp URL]
//   WORKBENCH_CLIENT_ID=… WORKBENCH_CLIENT_SECRET=… node workbench.ts --issuer URL --grants FILE [--mcp URL]
//
// With `--block ADDRESS` it reads that block instead of choosing one.
//
// Node 22.18 and newer run this file as it is.

import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";

import {
  Client,
  discoverAuthorizationServerMetadata,
  ProtocolError,
  refreshAuthorization,
  StreamableHTTPClientTransport,
  UriTemplate,
} from "@modelcontextprotocol/client";

/** The access token to send for a person now; asked before every request, because access tokens are short-lived. */
type TokenFor = (person: string) => Promise<string>;

/** The context block that this example takes; a real workbench lets the person choose among all that are listed. */
const TEMPLATE = "github://{account}/{owner}/{repo}";
/** What the server tells of a person's accounts; it also says when they change. */
const ACCOUNTS = "workbench://accounts";
/** How long to wait for news of the accounts before looking again: a stream may break without a word. */
const LOOK_AGAIN_MS = 30_000;

/** An account has to be connected, by the person and in their browser, at `link`. */
class NotConnected extends Error {
  readonly link: string;

  constructor(message: string, link: string) {
    super(message);
    this.link = link;
  }
}

/** Tokens that somebody put into the environment: personal access tokens, such as the demo prints. */
function givenTokens(): { people: string[]; tokenFor: TokenFor } {
  const tokens: Record<string, string> = JSON.parse(process.env.WORKBENCH_TOKENS ?? "{}");
  return { people: Object.keys(tokens), tokenFor: async (person) => tokens[person] };
}

/**
 * Tokens of an OAuth issuer that the server trusts (`WORKBENCH_ISSUER` there). Each person signed in to the workbench once
 * and left it a refresh token; from that the workbench gets access tokens that are good for this MCP server and nothing
 * else (RFC 8707). `file` holds the refresh tokens by person; a real workbench keeps them encrypted in its database.
 */
async function issuedTokens(issuer: string, file: string, mcp: URL): Promise<{ people: string[]; tokenFor: TokenFor }> {
  const grants: Record<string, string> = JSON.parse(await readFile(file, "utf8"));
  const metadata = await discoverAuthorizationServerMetadata(issuer);
  const clientInformation = {
    client_id: process.env.WORKBENCH_CLIENT_ID ?? "",
    client_secret: process.env.WORKBENCH_CLIENT_SECRET,
  };
  let saved = Promise.resolve();
  const keep = (person: string, grant: string) => {
    grants[person] = grant;
    // One after the other, and never half a file: a lost refresh token sends its person back to the sign-in page.
    saved = saved.then(async () => {
      await writeFile(`${file}.new`, JSON.stringify(grants), { mode: 0o600 });
      await rename(`${file}.new`, file);
    });
    return saved;
  };

  const refresh = async (person: string) => {
    const tokens = await refreshAuthorization(issuer, {
      metadata,
      clientInformation,
      refreshToken: grants[person],
      resource: mcp,
    });
    if (tokens.refresh_token) await keep(person, tokens.refresh_token);
    return { token: tokens.access_token, until: Date.now() + (tokens.expires_in ?? 60) * 1000 - 10_000 };
  };
  // The promise is kept, not only its outcome: requests at the same moment share one refresh. Refresh tokens rotate, and
  // an issuer takes the second use of one for theft.
  const current = new Map<string, ReturnType<typeof refresh>>();
  const begin = (person: string) => {
    const next = refresh(person);
    next.catch(() => current.delete(person));
    current.set(person, next);
    return next;
  };
  const tokenFor: TokenFor = async (person) => {
    const known = current.get(person);
    if (known && (await known).until > Date.now()) return (await known).token;
    // Another request may have begun the refresh meanwhile.
    const begun = current.get(person);
    return (await (begun && begun !== known ? begun : begin(person))).token;
  };
  return { people: Object.keys(grants), tokenFor };
}

/** A connection that acts for one person. It is never shared: whose it is, is all that keeps people apart. */
async function open(mcp: URL, person: string, tokenFor: TokenFor) {
  const client = new Client({ name: "example-workbench", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(new StreamableHTTPClientTransport(mcp, { authProvider: { token: () => tokenFor(person) } }));

  let news = Promise.withResolvers<void>();
  client.setNotificationHandler("notifications/resources/updated", () => {
    news.resolve();
    news = Promise.withResolvers();
  });
  await client.listen({ resourceSubscriptions: [ACCOUNTS] });
  return { client, news: () => news.promise };
}

/** Why there is nothing to choose from: no account, or one that works no longer. */
async function whyNothing(client: Client): Promise<Error> {
  const { contents } = await client.readResource({ uri: ACCOUNTS });
  const { accounts, connect } = JSON.parse("text" in contents[0] ? contents[0].text : "{}");
  const known = accounts.filter(({ integration }: { integration: string }) => integration === "github");
  if (known.length === 0) return new NotConnected("no GitHub account is connected", connect);
  const { account, status } = known[0];
  if (status === "Connected") return new Error(`${account} offers nothing to choose from`);
  return new NotConnected(`the GitHub account ${account} is ${status}`, connect);
}

/** Chooses a block: each variable of the template is completed with what was chosen before it. */
async function choose(client: Client, say: (line: string) => void): Promise<string> {
  // Straight from the server, which lists the blocks of connected accounts only.
  const { resourceTemplates } = await client.listResourceTemplates(undefined, { cacheMode: "refresh" });
  const template = resourceTemplates.find(({ uriTemplate }) => uriTemplate === TEMPLATE);
  if (!template) throw await whyNothing(client);
  const chosen: Record<string, string> = {};
  const uriTemplate = new UriTemplate(TEMPLATE);
  for (const name of uriTemplate.variableNames) {
    const { completion } = await client.complete({
      ref: { type: "ref/resource", uri: TEMPLATE },
      argument: { name, value: "" },
      context: { arguments: chosen },
    });
    if (completion.values.length === 0) throw await whyNothing(client);
    // Here a person chooses, or goes on typing.
    chosen[name] = completion.values[0];
    say(`${name}: ${completion.values.join(", ")}`);
  }
  say(`takes “${template.title ?? template.name}”`);
  return uriTemplate.expand(chosen);
}

/** Reads a block into a thread. The thread id ends up in the server's audit log, so that its story can be told. */
async function pull(client: Client, uri: string, thread: string) {
  const read = client.readResource({ uri, _meta: { "workbench-mcp/thread": thread } });
  const { contents } = await read.catch((error: unknown) => {
    // Not connected, lacking a permission: whatever a person can mend comes with a link.
    const data = error instanceof ProtocolError ? (error.data as Record<string, string> | undefined) : undefined;
    throw data?.action_url ? new NotConnected(data.message, data.action_url) : error;
  });
  const [block] = contents;
  // Expired or taken back at the provider: the block says so instead of showing what it once said.
  const dead = block._meta?.["workbench-mcp/error"] as Record<string, string> | undefined;
  if (dead) throw new NotConnected(dead.message, dead.action_url);
  return {
    text: "text" in block ? block.text : "",
    fetchedAt: String(block._meta?.["workbench-mcp/fetched_at"]),
    // What the system itself says of the record's state; equal versions are equal records.
    version: block._meta?.["workbench-mcp/version"],
  };
}

/** What one person's thread needs from the server, from nothing to a block that is read again in the next turn. */
async function serve(mcp: URL, person: string, tokenFor: TokenFor, chosen?: string): Promise<void> {
  const say = (line: string) => console.log(`${person}  ${line}`);
  const { client, news } = await open(mcp, person, tokenFor);
  const thread = `thread-${randomUUID()}`;

  /** Tries until the account is there; the person is shown each link once. */
  const connected = async <T>(attempt: () => Promise<T>): Promise<T> => {
    for (let told = ""; ; ) {
      // Listens before it tries, so that nothing that happens in between is missed.
      const changed = news();
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof NotConnected)) throw error;
        if (error.link !== told) say(`please help: ${error.message}: ${error.link}`);
        told = error.link;
        await Promise.race([changed, pause(LOOK_AGAIN_MS, undefined, { ref: false })]);
      }
    }
  };

  try {
    const uri = chosen ?? (await connected(() => choose(client, say)));
    const block = await connected(() => pull(client, uri, thread));
    say(`${thread} has ${uri}: ${block.text.length} characters, as of ${block.fetchedAt}`);
    // Systems rarely tell when a record changes, so every turn of the thread reads it again.
    const again = await connected(() => pull(client, uri, thread));
    say(`${thread} next turn: ${again.version === block.version ? "unchanged" : "changed"}, as of ${again.fetchedAt}`);
  } finally {
    await client.close();
  }
}

const { values } = parseArgs({
  options: {
    mcp: { type: "string", default: "http://127.0.0.1:8080/mcp" },
    issuer: { type: "string" },
    grants: { type: "string", default: "grants.json" },
    // The address of a block that a thread had before; without it one is chosen.
    block: { type: "string" },
  },
});
const mcp = new URL(values.mcp);
const { people, tokenFor } = values.issuer ? await issuedTokens(values.issuer, values.grants, mcp) : givenTokens();
if (people.length === 0) {
  console.error("Say whom to act for: WORKBENCH_TOKENS='{\"ann@example.com\":\"…\"}', or --issuer and --grants.");
  process.exit(2);
}
// All at once, as they come in a workbench; one person's trouble is not another's.
const ends = await Promise.allSettled(people.map((person) => serve(mcp, person, tokenFor, values.block)));
ends.forEach((end, index) => {
  if (end.status === "rejected") console.error(`${people[index]}  failed: ${end.reason}`);
});
process.exitCode = ends.every(({ status }) => status === "fulfilled") ? 0 : 1;
