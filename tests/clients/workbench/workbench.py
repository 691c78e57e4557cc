"""An example: a workbench that acts for many people, each with an access token of their own.

For every person it opens an MCP client, completes the address of a context block, and pulls the block into that person's
thread. When an account is missing or has expired it shows the person the link, and goes on once they are done.

    pip install --requirement requirements.txt
    WORKBENCH_TOKENS='{"ann@example.com":"…","ben@example.com":"…"}' python workbench.py [--mcp URL]
    WORKBENCH_CLIENT_ID=… WORKBENCH_CLIENT_SECRET=… python workbench.py --issuer URL --grants FILE [--mcp URL]

With `--block ADDRESS` it reads that block instead of choosing one.
"""

import argparse
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.uri_template import UriTemplate
from mcp_types import Implementation, ResourceTemplateReference

# The context block that this example takes; a real workbench lets the person choose among all that are listed.
TEMPLATE = "github://{account}/{owner}/{repo}"
# What the server tells of a person's accounts; it also says when they change.
ACCOUNTS = "workbench://accounts"
# How long to wait for news of the accounts before looking again: a stream may break without a word.
LOOK_AGAIN_S = 30

# The access token to send for a person now; asked before every request, because access tokens are short-lived.
TokenFor = Callable[[str], Awaitable[str]]
Say = Callable[[str], None]
Found = TypeVar("Found")


class NotConnected(Exception):
    """An account has to be connected, by the person and in their browser, at `link`."""

    def __init__(self, message: str, link: str) -> None:
        super().__init__(message)
        self.link = link


class GivenTokens:
    """Tokens that somebody put into the environment: personal access tokens, such as the demo prints."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self._tokens = tokens
        self.people = list(tokens)

    async def token_for(self, person: str) -> str:
        return self._tokens[person]


class IssuedTokens:
    """Tokens of an OAuth issuer that the server trusts (`WORKBENCH_ISSUER` there).

    Each person signed in to the workbench once and left it a refresh token; from that the workbench gets access tokens
    that are good for this MCP server and nothing else (RFC 8707). `file` holds the refresh tokens by person; a real
    workbench keeps them encrypted in its database.
    """

    def __init__(self, issuer: str, file: Path, mcp: str) -> None:
        self._issuer, self._file, self._mcp = issuer, file, mcp
        self._grants: dict[str, str] = json.loads(file.read_text())
        self._client = httpx2.AsyncClient()
        self._current: dict[str, tuple[str, float]] = {}
        self.people = list(self._grants)
        # Requests at the same moment share one refresh: refresh tokens rotate, and an issuer takes the second use of
        # one for theft.
        self._locks = {person: anyio.Lock() for person in self.people}

    async def token_for(self, person: str) -> str:
        async with self._locks[person]:
            token, until = self._current.get(person, ("", 0.0))
            if time.monotonic() < until:
                return token
            self._current[person] = await self._refresh(person)
            return self._current[person][0]

    async def _refresh(self, person: str) -> tuple[str, float]:
        described = await self._client.get(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        metadata = described.raise_for_status().json()
        if metadata["issuer"] != self._issuer:
            raise RuntimeError(f"{self._issuer} describes {metadata['issuer']} instead of itself")
        form = {"grant_type": "refresh_token", "refresh_token": self._grants[person], "resource": self._mcp}
        client = httpx2.BasicAuth(os.environ["WORKBENCH_CLIENT_ID"], os.environ["WORKBENCH_CLIENT_SECRET"])
        answer = await self._client.post(metadata["token_endpoint"], data=form, auth=client)
        if answer.is_error:
            raise RuntimeError(f"the issuer refused the refresh token of {person}: {answer.text}")
        tokens = answer.json()
        if "refresh_token" in tokens:
            self._keep(person, tokens["refresh_token"])
        return tokens["access_token"], time.monotonic() + tokens.get("expires_in", 60) - 10

    def _keep(self, person: str, grant: str) -> None:
        self._grants[person] = grant
        # Never half a file: a lost refresh token sends its person back to the sign-in page.
        new = self._file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(self._grants))
        new.replace(self._file)


class PersonAuth(httpx2.Auth):
    """Puts the person's present token on every request."""

    def __init__(self, person: str, token_for: TokenFor) -> None:
        self._person, self._token_for = person, token_for

    async def async_auth_flow(self, request):
        request.headers["authorization"] = f"Bearer {await self._token_for(self._person)}"
        yield request


@asynccontextmanager
async def connected_as(mcp: str, person: str, token_for: TokenFor) -> AsyncIterator[Client]:
    """A connection that acts for one person. It is never shared: whose it is, is all that keeps people apart."""
    auth = PersonAuth(person, token_for)
    async with httpx2.AsyncClient(auth=auth, timeout=httpx2.Timeout(60, read=300)) as http:
        info = Implementation(name="example-workbench", version="1.0.0")
        async with Client(streamable_http_client(mcp, http_client=http), client_info=info) as client:
            yield client


async def why_nothing(client: Client) -> Exception:
    """Why there is nothing to choose from: no account, or one that works no longer."""
    told = json.loads((await client.read_resource(ACCOUNTS)).contents[0].text)
    known = [account for account in told["accounts"] if account["integration"] == "github"]
    if not known:
        return NotConnected("no GitHub account is connected", told["connect"])
    account, status = known[0]["account"], known[0]["status"]
    if status == "Connected":
        return RuntimeError(f"{account} offers nothing to choose from")
    return NotConnected(f"the GitHub account {account} is {status}", told["connect"])


async def choose(client: Client, say: Say) -> str:
    """Chooses a block: each variable of the template is completed with what was chosen before it."""
    # Straight from the server, which lists the blocks of connected accounts only.
    templates = (await client.list_resource_templates(cache_mode="refresh")).resource_templates
    template = next((template for template in templates if template.uri_template == TEMPLATE), None)
    if template is None:
        raise await why_nothing(client)
    chosen: dict[str, str] = {}
    uri_template = UriTemplate.parse(TEMPLATE)
    for name in uri_template.variable_names:
        ref = ResourceTemplateReference(type="ref/resource", uri=TEMPLATE)
        suggested = (await client.complete(ref, {"name": name, "value": ""}, chosen)).completion.values
        if not suggested:
            raise await why_nothing(client)
        # Here a person chooses, or goes on typing.
        chosen[name] = suggested[0]
        say(f"{name}: {', '.join(suggested)}")
    say(f"takes “{template.title or template.name}”")
    return uri_template.expand(chosen)


@dataclass
class Block:
    """A context block as it was read."""

    text: str
    fetched_at: str
    # What the system itself says of the record's state; equal versions are equal records.
    version: str | None


async def pull(client: Client, uri: str, thread: str) -> Block:
    """Reads a block into a thread. The thread id ends up in the server's audit log, so that its story can be told."""
    try:
        block = (await client.read_resource(uri, meta={"workbench-mcp/thread": thread})).contents[0]
    except MCPError as error:
        # Not connected, lacking a permission: whatever a person can mend comes with a link.
        if isinstance(error.data, dict) and "action_url" in error.data:
            raise NotConnected(error.data["message"], error.data["action_url"]) from error
        raise
    meta = block.meta or {}
    # Expired or taken back at the provider: the block says so instead of showing what it once said.
    if dead := meta.get("workbench-mcp/error"):
        raise NotConnected(dead["message"], dead["action_url"])
    return Block(block.text, meta["workbench-mcp/fetched_at"], meta.get("workbench-mcp/version"))


async def with_account(client: Client, say: Say, attempt: Callable[[], Awaitable[Found]]) -> Found:
    """Tries until the account is there; the person is shown each link once."""
    told = ""
    while True:
        # Listens before it tries, so that nothing that happens in between is missed.
        async with client.listen(resource_subscriptions=[ACCOUNTS]) as changes:
            try:
                return await attempt()
            except NotConnected as missing:
                if missing.link != told:
                    say(f"please help: {missing}: {missing.link}")
                told = missing.link
            with anyio.move_on_after(LOOK_AGAIN_S), suppress(StopAsyncIteration, SubscriptionLost):
                await anext(changes)


async def serve(mcp: str, person: str, token_for: TokenFor, chosen: str | None) -> None:
    """What one person's thread needs from the server, from nothing to a block that is read again in the next turn."""

    def say(line: str) -> None:
        print(f"{person}  {line}", flush=True)

    thread = f"thread-{uuid.uuid4()}"
    async with connected_as(mcp, person, token_for) as client:
        uri = chosen or await with_account(client, say, lambda: choose(client, say))
        block = await with_account(client, say, lambda: pull(client, uri, thread))
        say(f"{thread} has {uri}: {len(block.text)} characters, as of {block.fetched_at}")
        # Systems rarely tell when a record changes, so every turn of the thread reads it again.
        again = await with_account(client, say, lambda: pull(client, uri, thread))
        change = "unchanged" if again.version == block.version else "changed"
        say(f"{thread} next turn: {change}, as of {again.fetched_at}")


async def main() -> int:
    parser = argparse.ArgumentParser(description="A workbench that acts for many people.")
    parser.add_argument("--mcp", default="http://127.0.0.1:8080/mcp")
    parser.add_argument("--issuer")
    parser.add_argument("--grants", type=Path, default=Path("grants.json"))
    parser.add_argument("--block", help="the address of a block that a thread had before; without it one is chosen")
    given = parser.parse_args()
    if given.issuer:
        tokens = IssuedTokens(given.issuer, given.grants, given.mcp)
    else:
        tokens = GivenTokens(json.loads(os.environ.get("WORKBENCH_TOKENS", "{}")))
    if not tokens.people:
        parser.error("say whom to act for: WORKBENCH_TOKENS='{\"ann@example.com\":\"…\"}', or --issuer and --grants")
    failed = False

    async def one(person: str) -> None:
        nonlocal failed
        try:
            await serve(given.mcp, person, tokens.token_for, given.block)
        except Exception as error:  # noqa: BLE001 - one person's trouble is not another's
            failed = True
            print(f"{person}  failed: {error!r}", file=sys.stderr)

    # All at once, as they come in a workbench.
    async with anyio.create_task_group() as tasks:
        for person in tokens.people:
            tasks.start_soon(one, person)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(anyio.run(main))
