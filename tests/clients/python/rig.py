"""What the checks run against: the real binary's demo, its sandbox, and a person with a browser. Standard library only."""

import html.parser
import http.cookiejar
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ALICE = "alice@example.test"
BOB = "bob@example.test"
# Those that the checks use.
PROVIDERS = ("github", "hubspot")


def binary() -> str:
    """The binary under test: CLIENTS_BINARY, else the debug build."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    return os.environ.get("CLIENTS_BINARY", str(Path(target) / "debug" / "workbench-mcp"))


class Demo:
    """A running `workbench-mcp demo` on a database of its own."""

    def __enter__(self) -> "Demo":
        self._directory = tempfile.TemporaryDirectory(prefix="workbench-clients-")
        self.data = str(Path(self._directory.name) / "data")
        self._log = open(Path(self._directory.name) / "log", "w+")
        self._process = subprocess.Popen(
            [binary(), "demo", "--listen", "127.0.0.1:0", "--data", self.data],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"the demo did not start: {self._log.read()}")
        ready = json.loads(line)
        self.url, self.mcp, self.sandbox = ready["url"], ready["mcp"], ready["sandbox"]
        self.tokens = ready["tokens"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._process.stdout.close()
        self._log.close()
        self._directory.cleanup()

    def environment(self) -> dict[str, str]:
        """What a second process needs to work on the demo's database, people and sandbox."""
        settings = {
            "WORKBENCH_DATA_DIR": self.data,
            "WORKBENCH_LISTEN": urllib.parse.urlsplit(self.url).netloc,
            "WORKBENCH_PUBLIC_URL": self.url,
            "WORKBENCH_LOG": "warn",
        }
        for provider in PROVIDERS:
            name = provider.upper()
            settings[f"WORKBENCH_PROVIDER_{name}_API_URL"] = self.sandbox + provider
            settings[f"WORKBENCH_PROVIDER_{name}_AUTH_URL"] = self.sandbox + provider
            settings[f"WORKBENCH_APP_{name}_CLIENT_ID"] = "workbench-demo"
            settings[f"WORKBENCH_APP_{name}_CLIENT_SECRET"] = "sandbox-secret"
        return settings

    def tell(self, provider: str, **command: object) -> None:
        """Tells the sandbox to do something at one provider."""
        body = json.dumps({"provider": provider, **command}).encode()
        headers = {"content-type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(self.sandbox + "_control", body, headers)).close()

    def report(self, provider: str) -> dict:
        """What one provider has seen."""
        return json.load(urllib.request.urlopen(self.sandbox + "_control"))[provider]

    def audit(self, tool: str) -> list[dict]:
        """The audit log's entries about one tool, newest first."""
        command = [binary(), "audit", "list", "--json", "--tool", tool]
        environment = {**os.environ, **self.environment()}
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    def status(self, token: str | None) -> tuple[int, str]:
        """The HTTP status and challenge that a request with this token meets."""
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        try:
            with urllib.request.urlopen(urllib.request.Request(self.mcp, b"{}", headers)) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("www-authenticate", "")


class _Form(html.parser.HTMLParser):
    """The fields of the last form on a page, as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.fields, self.found = "", [], False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        if tag == "form":
            self.found, self.action, self.fields = True, of.get("action") or "", []
        if tag == "input" and of.get("name") and "disabled" not in of:
            if of.get("type") not in ("radio", "checkbox") or "checked" in of:
                self.fields.append((of["name"], of.get("value") or ""))

    def filled(self, **more: str) -> list[tuple[str, str]]:
        """The fields, some of them filled in by the person."""
        return [(name, value) for name, value in self.fields if name not in more] + list(more.items())


class Browser:
    """A person's browser: cookies, redirects, forms."""

    def __init__(self) -> None:
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def go(self, url: str, fields: list[tuple[str, str]] | None = None) -> tuple[str, str]:
        """Visits a page, or sends a form; answers where that led and what stands there."""
        request = urllib.request.Request(url)
        if fields is not None:
            request.data = urllib.parse.urlencode(fields).encode()
            parts = urllib.parse.urlsplit(url)
            request.add_header("origin", f"{parts.scheme}://{parts.netloc}")
        with self._opener.open(request, timeout=20) as answer:
            return answer.url, answer.read().decode()

    def connect(self, link: str, token: str) -> str:
        """Follows a link to connect an account: signs in, agrees to leave, approves at the provider."""
        url, page = self.go(link)
        if "/login" in url:
            form = _Form(page)
            url, page = self.go(urllib.parse.urljoin(url, form.action or url), form.filled(token=token))
        form = _Form(page)
        if not form.found:
            raise RuntimeError(f"{url} has no form: {page[:300]}")
        url, page = self.go(urllib.parse.urljoin(url, form.action or url), form.filled())
        url, page = self.go(url, _Form(page).filled(decision="approve"))
        if "is connected" not in page:
            raise RuntimeError(f"{url} does not say that the account is connected: {page[:300]}")
        return re.sub(r"<[^>]+>", "", page)

    def allow(self, link: str, token: str) -> str:
        """Follows a client's link: signs in if need be, and allows the client; answers where it is sent back to."""
        url, page = self.go(link)
        if "/login" in url:
            form = _Form(page)
            url, page = self.go(urllib.parse.urljoin(url, form.action or url), form.filled(token=token))
        form = _Form(page)
        if not form.found:
            raise RuntimeError(f"{url} has no form: {page[:300]}")
        return self.go(urllib.parse.urljoin(url, form.action), form.filled(decision="approve"))[0]


class Tally:
    """Counts checks and prints one line for each."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, name: str, holds: bool, detail: object = "") -> None:
        if holds:
            self.passed += 1
            print(f"ok    {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {name}: {detail!r}", flush=True)


def until(condition, seconds: float = 10.0):
    """The first true answer of `condition`; its last answer when none came in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer
