"""The official Python SDK against the real binary: every check over each transport and era that the SDK speaks.

    python checks.py            # starts the demo itself; CLIENTS_BINARY names another binary

Prints one line for each check and a closing `N passed, N failed`.
"""

import json
import os
import sys
import urllib.parse
from contextlib import asynccontextmanager
from functools import partial

import anyio
import httpx2
from anyio.to_thread import run_sync
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ListenNotSupportedError
from mcp_types import ElicitResult, Implementation, ResourceTemplateReference

from rig import ALICE, BOB, Browser, Demo, Tally, binary, until

CURRENT = "2026-07-28"
LEGACY = "2025-11-25"
URL_ELICITATION_REQUIRED = -32042
INVALID_PARAMS = -32602
RESOURCE_NOT_FOUND = -32002
# Long enough that nobody waits for it by accident.
STALL_MS = 60_000


@asynccontextmanager
async def connected(demo: Demo, transport: str, era: str, email: str, **options):
    """A client of one person."""
    options["mode"] = "legacy" if era == LEGACY else "auto"
    options["client_info"] = Implementation(name="python-checks", version="1.0.0")
    options["read_timeout_seconds"] = 60
    if transport == "stdio":
        environment = {"PATH": os.environ["PATH"], **demo.environment()}
        server = StdioServerParameters(command=binary(), args=["stdio", "--user", email], env=environment)
        async with Client(server, **options) as client:
            yield client
        return
    headers = {"authorization": f"Bearer {demo.tokens[email]}"}
    async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(60)) as http:
        async with Client(streamable_http_client(demo.mcp, http_client=http), **options) as client:
            yield client


async def every_page(fetch, field: str) -> list:
    """All entries of a list, cursor by cursor."""
    entries, cursor = [], None
    for _ in range(100):
        page = await fetch(cursor=cursor, cache_mode="bypass")
        entries.extend(getattr(page, field))
        cursor = page.next_cursor
        if cursor is None:
            return entries
    raise RuntimeError(f"the pages of {field} have no end")


async def refused(call) -> MCPError | None:
    """The protocol error that a call met."""
    try:
        await call
    except MCPError as error:
        return error
    return None


class Changes:
    """What the server said had changed, whichever way the era says it."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()

    async def message(self, message: object) -> None:
        method = getattr(message, "method", None) or getattr(getattr(message, "root", None), "method", None)
        if method:
            self.kinds.add(method.removeprefix("notifications/"))

    async def listen(self, client: Client, *, task_status) -> None:
        try:
            async with client.listen(tools_list_changed=True, resources_list_changed=True) as events:
                task_status.started()
                async for event in events:
                    name = type(event).__name__
                    self.kinds.add(f"{'tools' if name.startswith('Tool') else 'resources'}/list_changed")
        except ListenNotSupportedError:
            task_status.started()

    async def heard(self, *kinds: str) -> bool:
        with anyio.move_on_after(10):
            while not self.kinds.issuperset(kinds):
                await anyio.sleep(0.05)
        return self.kinds.issuperset(kinds)


async def connect_an_account(demo: Demo, tally: Tally, label: str, transport: str, era: str) -> None:
    """From nothing to a working call, with the person's part played by a browser."""
    changes, asked, willing = Changes(), [], [False, True]

    async def elicit(_, params) -> ElicitResult:
        asked.append(params)
        if not willing.pop(0):
            return ElicitResult(action="decline")
        await run_sync(Browser().connect, params.url, demo.tokens[ALICE])
        return ElicitResult(action="accept")

    options = {"elicitation_callback": elicit, "message_handler": changes.message}
    async with connected(demo, transport, era, ALICE, **options) as client, anyio.create_task_group() as tasks:
        tally.check(f"{label}: speaks {era}", client.protocol_version == era, client.protocol_version)
        server = client.server_info
        tally.check(f"{label}: introduces itself", server is not None and server.name == "workbench-mcp", server)
        tally.check(f"{label}: instructs the model", "account" in (client.instructions or ""), client.instructions)
        before = {tool.name for tool in await every_page(client.list_tools, "tools")}
        needless = [name for name in before if not name.startswith("health_")]
        tally.check(f"{label}: without an account, lists only the tools that need none", before and not needless, needless)

        await tasks.start(changes.listen, client)
        if era == CURRENT:
            result = await client.call_tool("github_get_viewer", {})
            told = result.is_error and "declined" in result.content[0].text
            tally.check(f"{label}: a question declined fails the call", told, result)
            result = await client.call_tool("github_get_viewer", {})
            once = len(asked) == 2 and asked[1].mode == "url"
            tally.check(f"{label}: asks for the account once, by a link", once, asked)
            tally.check(f"{label}: the same call goes on once it is connected", not result.is_error, result)
        else:
            error = await refused(client.call_tool("github_get_viewer", {}))
            is_link = error is not None and error.code == URL_ELICITATION_REQUIRED
            tally.check(f"{label}: asks for the account by error {URL_ELICITATION_REQUIRED}", is_link, error)
            question = error.data["elicitations"][0]
            tally.check(f"{label}: the question is a link", question["mode"] == "url", question)
            await run_sync(Browser().connect, question["url"], demo.tokens[ALICE])
            # Another process may have to hear of it first.
            await changes.heard("tools/list_changed")
            result = await client.call_tool("github_get_viewer", {})
            tally.check(f"{label}: the call works once it is connected", not result.is_error, result)

        heard = await changes.heard("tools/list_changed", "resources/list_changed")
        tally.check(f"{label}: says that tools and resources changed", heard, changes.kinds)
        after = await every_page(client.list_tools, "tools")
        names = [tool.name for tool in after]
        once = "github_search" in names and len(names) == len(set(names))
        tally.check(f"{label}: lists GitHub's tools then, each once", once, names)
        tasks.cancel_scope.cancel()


async def lists(tally: Tally, label: str, client: Client) -> None:
    tools = await every_page(client.list_tools, "tools")
    undescribed = [tool.name for tool in tools if not tool.description or not tool.title]
    tally.check(f"{label}: every tool has a title and a description", not undescribed, undescribed)
    shapeless = [tool.name for tool in tools if tool.input_schema.get("type") != "object" or not tool.output_schema]
    tally.check(f"{label}: every tool has both schemas", not shapeless, shapeless)
    effects = {tool.name: tool.annotations for tool in tools}
    reads = effects["github_search"].read_only_hint and not effects["github_save_issue"].read_only_hint
    tally.check(f"{label}: reading and writing tools are told apart", reads, effects)
    templates = await every_page(client.list_resource_templates, "resource_templates")
    uris = [template.uri_template for template in templates]
    tally.check(f"{label}: lists templates of context blocks", "github://{account}/{owner}/{repo}" in uris, uris)
    resources = await every_page(client.list_resources, "resources")
    tally.check(f"{label}: lists the accounts", [str(r.uri) for r in resources] == ["workbench://accounts"], resources)


async def calls(demo: Demo, tally: Tally, label: str, client: Client) -> None:
    result = await client.call_tool("github_list_issues", {"repo": "acme/site"})
    data = result.structured_content or {}
    # The SDK itself holds structured content against the listed output schema.
    tally.check(f"{label}: answers with structure", data.get("account") == "alice-dev" and len(data["items"]) > 0, data)
    same = result.content and json.loads(result.content[0].text) == data
    tally.check(f"{label}: says the same as text", same, result.content)
    call = (result.meta or {}).get("workbench-mcp/call", "")
    tally.check(f"{label}: names the call for the audit log", call.startswith("call_"), result.meta)

    steps = []

    async def step(done: float, total: float | None, message: str | None) -> None:
        steps.append((done, total, message))

    result = await client.call_tool("github_import_docs", {"repo": "acme/site"}, progress_callback=step)
    grows = len(steps) >= 2 and [s[0] for s in steps] == sorted({s[0] for s in steps}) and steps[-1][1] is not None
    tally.check(f"{label}: reports progress in order", not result.is_error and grows, steps)

    demo.tell("github", do="expire_access_tokens")
    result = await client.call_tool("github_get_viewer", {})
    tally.check(f"{label}: refreshes an expired token by itself", not result.is_error, result)


async def cancellation(demo: Demo, tally: Tally, label: str, client: Client) -> None:
    """A call that waits for the provider is cancelled: the wait ends, and what would follow is never asked."""
    tree = "GET /repos/acme/site/git/trees/HEAD"
    before = demo.report("github")["api_calls"]
    audited = len(await run_sync(demo.audit, "github_import_docs"))
    demo.tell("github", do="misbehave", at="api", times=1, fault={"kind": "stall", "ms": STALL_MS})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(client.call_tool, "github_import_docs", {"repo": "acme/site", "dry_run": True}))

        def waiting() -> bool:
            return demo.report("github")["api_calls"].get(tree, 0) > before.get(tree, 0)

        reached = await run_sync(until, waiting)
        tally.check(f"{label}: a stalled call reaches the provider", reached, demo.report("github")["api_calls"])
        tasks.cancel_scope.cancel()

    def ended() -> bool:
        entries = demo.audit("github_import_docs")
        return any(entry["outcome"] == "cancelled" for entry in entries[: len(entries) - audited])

    cancelled = await run_sync(until, ended)
    tally.check(f"{label}: cancelling ends the work long before the provider answers", cancelled)
    now = demo.report("github")["api_calls"]
    more = {call: now[call] - before.get(call, 0) for call in now if now[call] != before.get(call, 0)}
    tally.check(f"{label}: nothing more is asked of the provider", more == {tree: 1}, more)
    demo.tell("github", do="behave")
    result = await client.call_tool("github_get_viewer", {})
    tally.check(f"{label}: the session goes on", not result.is_error, result)


async def blocks(tally: Tally, label: str, client: Client) -> None:
    accounts = json.loads((await client.read_resource("workbench://accounts")).contents[0].text)["accounts"]
    github = next(account for account in accounts if account["integration"] == "github")
    tally.check(f"{label}: reads the accounts", github["status"] == "Connected", accounts)
    account = urllib.parse.quote(github["account"], safe="")
    block = (await client.read_resource(f"github://{account}/acme/site")).contents[0]
    tally.check(f"{label}: reads a context block", "acme/site" in block.text, block)
    tally.check(f"{label}: the block says when it was fetched", "workbench-mcp/fetched_at" in (block.meta or {}), block.meta)
    template = ResourceTemplateReference(type="ref/resource", uri="github://{account}/{owner}/{repo}")
    answer = await client.complete(template, {"name": "account", "value": "al"})
    tally.check(f"{label}: completes an account", answer.completion.values == [github["account"]], answer)
    chosen = {"account": github["account"], "owner": "acme"}
    answer = await client.complete(template, {"name": "repo", "value": "s"}, chosen)
    tally.check(f"{label}: completes a repository within the chosen ones", "site" in answer.completion.values, answer)


async def errors(demo: Demo, tally: Tally, label: str, client: Client, era: str) -> None:
    def coded(result, code: str) -> bool:
        return bool(result.is_error) and (result.structured_content or {}).get("error", {}).get("code") == code

    error = await refused(client.call_tool("github_nothing", {}))
    tally.check(f"{label}: an unknown tool is a protocol error", error is not None and error.code == INVALID_PARAMS, error)
    result = await client.call_tool("github_list_issues", {"repo": 7})
    tally.check(f"{label}: wrong arguments are told to the model", coded(result, "invalid_input"), result)
    demo.tell("github", do="misbehave", at="api", times=20, fault={"kind": "rate_limit", "retry_after_s": 120})
    result = await client.call_tool("github_get_repo", {"repo": "acme/site"})
    demo.tell("github", do="behave")
    seconds = (result.structured_content or {}).get("error", {}).get("retry_after_s")
    tally.check(f"{label}: a rate limit says when to come back", coded(result, "rate_limited") and seconds, result)
    error = await refused(client.read_resource("github://alice-dev/nothing"))
    code = INVALID_PARAMS if era == CURRENT else RESOURCE_NOT_FOUND
    tally.check(f"{label}: an unknown address is error {code}", error is not None and error.code == code, error)


async def without_questions(demo: Demo, tally: Tally, label: str, transport: str, era: str) -> None:
    """A client that cannot show links, and a person who must not see another's account."""
    async with connected(demo, transport, era, BOB) as client:
        result = await client.call_tool("github_get_viewer", {})
        problem = (result.structured_content or {}).get("error", {})
        link = problem.get("action_url") or ""
        told = result.is_error and problem.get("code") == "connection_missing" and link in result.content[0].text
        leads = "/connect/github" in urllib.parse.unquote(link)
        tally.check(f"{label}: without questions, the link is in the answer", told and leads, result)
        accounts = json.loads((await client.read_resource("workbench://accounts")).contents[0].text)["accounts"]
        tally.check(f"{label}: nobody sees another's accounts", accounts == [], accounts)


async def taken_back(demo: Demo, tally: Tally, label: str, client: Client) -> None:
    demo.tell("github", do="revoke")
    result = await client.call_tool("github_get_viewer", {})
    problem = (result.structured_content or {}).get("error", {})
    told = result.is_error and problem.get("code") == "reauth_required"
    leads = "/connect/github" in urllib.parse.unquote(problem.get("action_url") or "")
    tally.check(f"{label}: an account taken back asks to be connected again", told and leads, result)


async def variant(tally: Tally, transport: str, era: str) -> None:
    label = f"{transport} {era}"
    with Demo() as demo:
        await connect_an_account(demo, tally, label, transport, era)
        # This client answers no questions, so failures come as results.
        async with connected(demo, transport, era, ALICE) as client:
            await lists(tally, label, client)
            await calls(demo, tally, label, client)
            await blocks(tally, label, client)
            await cancellation(demo, tally, label, client)
            await errors(demo, tally, label, client, era)
            await taken_back(demo, tally, label, client)
        await without_questions(demo, tally, label, transport, era)
        if transport == "http" and era == CURRENT:
            for token in (None, "wbt_" + "x" * 43):
                status, challenge = await run_sync(demo.status, token)
                who = "nobody" if token is None else "a stranger's token"
                challenged = status == 401 and "resource_metadata" in challenge
                tally.check(f"{label}: {who} is refused with a challenge", challenged, (status, challenge))


async def main() -> int:
    tally = Tally()
    for transport, era in [("http", CURRENT), ("http", LEGACY), ("stdio", CURRENT), ("stdio", LEGACY)]:
        try:
            await variant(tally, transport, era)
        except Exception as error:
            tally.check(f"{transport} {era}: runs to its end", False, error)
    print(f"python: {tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(anyio.run(main))
