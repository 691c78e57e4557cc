// The TypeScript SDK's 2.x line against the real binary: `node checks.mjs`, after `npm install` here.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { CURRENT, LEGACY, runSuite } from "../shared/checks.mjs";
import { BINARY } from "../shared/rig.mjs";

const CHANGES = ["notifications/tools/list_changed", "notifications/resources/list_changed"];

async function connect({ demo, transport, era, email, elicit, changed }) {
  const mode = era === CURRENT ? "auto" : "legacy";
  const client = new Client(
    { name: "typescript-v2-checks", version: "1.0.0" },
    { capabilities: elicit ? { elicitation: { url: {} } } : {}, versionNegotiation: { mode } },
  );
  if (elicit) client.setRequestHandler("elicitation/create", ({ params }) => elicit(params));
  for (const method of CHANGES) client.setNotificationHandler(method, () => changed?.(method));
  client.fallbackNotificationHandler = async ({ method }) => changed?.(method);
  await client.connect(open({ demo, transport, email }));
  if (changed && era === CURRENT) await client.listen({ toolsListChanged: true, resourcesListChanged: true });
  return {
    client,
    call: (name, args, options) => client.callTool({ name, arguments: args }, options),
    version: () => client.getNegotiatedProtocolVersion(),
  };
}

function open({ demo, transport, email }) {
  const requestInit = { headers: { authorization: `Bearer ${demo.tokens[email]}` } };
  if (transport === "http") return new StreamableHTTPClientTransport(new URL(demo.mcp), { requestInit });
  const args = ["stdio", "--user", email];
  return new StdioClientTransport({ command: BINARY, args, env: demo.environment(), stderr: "inherit" });
}

await runSuite(
  "typescript-v2",
  ["http", "stdio"].flatMap((transport) => [CURRENT, LEGACY].map((era) => ({ transport, era }))),
  connect,
);
