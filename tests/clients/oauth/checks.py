"""The Python SDK's OAuth helper against the embedded authorization server: finding it, registration, PKCE, refresh and
step-up are its own doing; a plain HTTP browser fills in the pages."""

import asyncio
import http.server
import sys
import threading
import urllib.parse
from pathlib import Path

import httpx2
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from rig import ALICE, Browser, Demo, Tally  # noqa: E402

WRITE = "github_save_issue"


class Keeper:
    """What the SDK asks its application to keep."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Callback(http.server.BaseHTTPRequestHandler):
    """Takes the browser back, as a client on the person's machine does."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


async def main(demo: Demo, tally: Tally) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    redirect = f"http://127.0.0.1:{server.server_port}/callback"
    browser, keeper, asked = Browser(), Keeper(), []
    browser.connect(urllib.parse.urljoin(demo.url, "connect/github"), demo.tokens[ALICE])

    async def send(url: str) -> None:
        asked.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query)))
        asked[-1]["url"] = url

    async def come_back() -> AuthorizationCodeResult:
        landed = await asyncio.to_thread(browser.allow, asked[-1]["url"], demo.tokens[ALICE])
        fields = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(landed).query))
        return AuthorizationCodeResult(code=fields["code"], state=fields.get("state"), iss=fields.get("iss"))

    provider = OAuthClientProvider(
        server_url=demo.mcp,
        client_metadata=OAuthClientMetadata(client_name="Checks", redirect_uris=[redirect]),
        storage=keeper,
        redirect_handler=send,
        callback_handler=come_back,
    )
    async with httpx2.AsyncClient(auth=provider, timeout=httpx2.Timeout(60)) as web:
        async with Client(streamable_http_client(demo.mcp, http_client=web)) as client:
            viewer = await client.call_tool("github_get_viewer", {})
            tally.check("it signs in and reads", not viewer.is_error, viewer)
            tally.check("it registers", keeper.client.client_id.startswith("client-"), keeper.client)
            tally.check("it proves itself with S256", asked[0]["code_challenge_method"] == "S256", asked)
            tally.check("it asks for our endpoint", asked[0]["resource"] == demo.mcp, asked)
            tally.check("it asks for reading alone", asked[0]["scope"] == "tools:read", asked)
            tally.check("it gets that", keeper.tokens.scope == "tools:read", keeper.tokens.scope)

            before = keeper.tokens.refresh_token
            # As if half an hour had passed.
            provider.context.token_expiry_time = 1.0
            viewer = await client.call_tool("github_get_viewer", {})
            tally.check("it refreshes by itself", not viewer.is_error and keeper.tokens.refresh_token != before, viewer)
            tally.check("the person is not asked for that", len(asked) == 1, len(asked))

            wanted = {"repo": "acme/site", "title": "From the checks"}
            written = await client.call_tool(WRITE, wanted)
            tally.check("it asks for writing when a call needs it", len(asked) == 2, written)
            scope = set(asked[-1]["scope"].split())
            tally.check("and for what it had", scope == {"tools:read", "tools:write"}, asked[-1])
            tally.check("it may write then", "tools:write" in keeper.tokens.scope, keeper.tokens.scope)
    server.shutdown()


if __name__ == "__main__":
    tally = Tally()
    with Demo() as demo:
        try:
            asyncio.run(main(demo, tally))
        except BaseException as error:  # noqa: BLE001 - whatever ends it is a failed check
            tally.check("it runs to its end", False, error)
    print(f"oauth-python: {tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed or not tally.passed else 0)
