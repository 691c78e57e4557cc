// The TypeScript SDK's 1.x line against the real binary: `node checks.mjs`, after `npm install` here.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { LEGACY, runSuite } from "../shared/checks.mjs";
import { BINARY } from "../shared/rig.mjs";

async function connect({ demo, transport, email, elicit, changed }) {
  const capabilities = elicit ? { elicitation: { url: {} } } : {};
  const client = new Client({ name: "typescript-v1-checks", version: "1.0.0" }, { capabilities });
  client.fallbackNotificationHandler = async ({ method }) => changed?.(method);
  const line = open({ demo, transport, email });
  // This SDK tells the agreed revision to the transport and to nobody else.
  let agreed;
  const tell = line.setProtocolVersion?.bind(line);
  line.setProtocolVersion = (version) => {
    agreed = version;
    tell?.(version);
  };
  await client.connect(line);
  return {
    client,
    call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    version: () => agreed,
  };
}

function open({ demo, transport, email }) {
  const requestInit = { headers: { authorization: `Bearer ${demo.tokens[email]}` } };
  if (transport === "http") return new StreamableHTTPClientTransport(new URL(demo.mcp), { requestInit });
  if (transport === "sse") return new SSEClientTransport(new URL("sse", demo.url), { requestInit });
  const args = ["stdio", "--user", email];
  return new StdioClientTransport({ command: BINARY, args, env: demo.environment(), stderr: "inherit" });
}

await runSuite(
  "typescript-v1",
  ["http", "sse", "stdio"].map((transport) => ({ transport, era: LEGACY })),
  connect,
);
