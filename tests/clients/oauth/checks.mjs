// The OAuth helpers of both TypeScript SDK lines against the embedded authorization server: `node checks.mjs`, after
// `npm install` here. They find the server, register, prove themselves with PKCE, refresh and step up on their own; a
// plain HTTP browser fills in the pages.

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { attempt, callback, Keeper } from "../shared/oauth.mjs";
import { ALICE, Browser, Demo, Tally } from "../shared/rig.mjs";

const WRITE = "github_save_issue";

const LINES = [
  {
    name: "typescript-v1",
    open: (demo, keeper) => new TransportV1(new URL(demo.mcp), { authProvider: keeper }),
    client: () => new ClientV1({ name: "oauth-checks", version: "1.0.0" }),
    finish: (transport, back) => transport.finishAuth(back.searchParams.get("code")),
    call: (client, name, args) => client.callTool({ name, arguments: args }),
  },
  {
    name: "typescript-v2",
    open: (demo, keeper) => new TransportV2(new URL(demo.mcp), { authProvider: keeper }),
    client: () =>
      new ClientV2({ name: "oauth-checks", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } }),
    finish: (transport, back) => transport.finishAuth(back.searchParams),
    call: (client, name, args) => client.callTool({ name, arguments: args }),
    stepsUp: true,
  },
];

async function run(line, demo, tally) {
  const check = (what, holds, detail) => tally.check(`${line.name}: ${what}`, holds, detail);
  const back = await callback();
  const redirect = `http://127.0.0.1:${back.address().port}/callback`;
  const keeper = new Keeper(redirect);
  const browser = new Browser();
  await browser.connect(new URL("connect/github", demo.url).href, demo.tokens[ALICE]);

  /** Connects; when the person is asked on the way, they allow it. */
  const connect = async () => {
    for (let tries = 0; tries < 2; tries += 1) {
      const transport = line.open(demo, keeper);
      const client = line.client();
      const before = keeper.sentTo.length;
      const { error } = await attempt(() => client.connect(transport));
      if (!error) return { client, transport };
      if (keeper.sentTo.length === before) throw error;
      await allow(transport);
    }
    throw new Error("signing in leads nowhere");
  };
  const allow = async (transport) => {
    const asked = keeper.sentTo.at(-1);
    const landed = await browser.allow(asked.href, demo.tokens[ALICE]);
    check("the answer names the server and gives the state back", landed.searchParams.get("iss") !== null &&
      landed.searchParams.get("state") === asked.searchParams.get("state"), landed.href);
    await line.finish(transport, landed);
  };

  const { client, transport } = await connect();
  const asked = keeper.sentTo[0].searchParams;
  check("it registers", keeper.registered?.client_id?.startsWith("client-"), keeper.registered);
  check("it proves itself with S256", asked.get("code_challenge_method") === "S256", asked.toString());
  check("it asks for our endpoint", asked.get("resource") === demo.mcp, asked.toString());
  check("it asks for reading alone", asked.get("scope") === "tools:read", asked.get("scope"));
  check("it gets that", keeper.held.scope === "tools:read", keeper.held.scope);
  const read = await line.call(client, "github_get_viewer", {});
  check("it reads", !read.isError, read);
  const { tools } = await client.listTools();
  check("it sees tools that write", tools.some(({ name }) => name === WRITE), tools.length);

  // An access token that is not good any more.
  const refresh = keeper.held.refresh_token;
  keeper.held = { ...keeper.held, access_token: "wba_gone" };
  const again = await line.call(client, "github_get_viewer", {});
  check("it refreshes by itself", !again.isError, again);
  check("the refresh token is another one", keeper.held.refresh_token !== refresh, "the same");
  check("the person is not asked for that", keeper.sentTo.length === 1, keeper.sentTo.length);

  // A call that needs more.
  const wanted = { repo: "acme/site", title: "From the checks" };
  const refused = await attempt(() => line.call(client, WRITE, wanted));
  if (line.stepsUp) {
    check("it is sent to ask for writing", keeper.sentTo.at(-1).searchParams.get("scope") === "tools:read tools:write", [
      String(refused.error),
      keeper.sentTo.at(-1).href,
    ]);
    await allow(transport);
    check("it may write then", keeper.held.scope === "tools:read tools:write", keeper.held.scope);
    const written = await attempt(() => line.call(client, WRITE, wanted));
    check("and is not sent again", keeper.sentTo.length === 2, String(written.error));
  } else {
    check("the tool says that it may not write", refused.value?.isError === true, refused);
  }
  await client.close();
  back.close();
}

const tally = new Tally();
const demo = await Demo.start();
try {
  for (const line of LINES) {
    const { error } = await attempt(() => run(line, demo, tally));
    if (error) tally.check(`${line.name} runs to its end`, false, error);
  }
} finally {
  await demo.stop();
}
tally.end("oauth-typescript");
