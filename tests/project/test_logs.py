"""Logs: each line has the id of its request or socket, clients cannot forge lines, and no line contains a secret."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import WebSocketException

from telemetry.keys import device_key
from telemetry.logs import CONTEXT, JsonFormatter, LineFormatter, LogContext, note_user
from testing.cast import Person
from testing.process import Process
from testing.servers import server_process, writer_process
from testing.socket import LiveSocket
from testing.stack import Stack, manage
from testing.waiting import wait_until

Line = dict[str, object]


def lines_of(log: Path) -> list[Line]:
    """Return the lines of a JSON log. Every line must be an object."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def line_with(log: Path, **members: object) -> Line:
    """Wait for a line with these members and return the first: a response is sent before it is logged."""
    return wait_until(
        lambda: next((line for line in lines_of(log) if members.items() <= line.items()), None), f"a line {members}"
    ) or {}  # fmt: skip


@pytest.fixture(scope="module")
def talkative(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that logs every request as JSON and trusts a front on this machine."""
    env = {**stack.env, "LOG_FORMAT": "json", "ACCESS_LOG_MIN_MS": "0", "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    with server_process(env, tmp_path_factory.mktemp("talkative") / "server.log") as process:
        yield process


# --- what a line belongs to --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "route"), [("/api/history/{}", "/api/history/{device_id}"), ("/api/auth/me", None)])
def test_a_request_line_has_the_id_of_the_response(
    path: str, route: str | None, talkative: Process, alice: Person, device: str
) -> None:
    url = talkative.url + path.format(device)
    answer = httpx.get(url, headers={"Authorization": f"Bearer {alice.token}"}, timeout=20)
    line = line_with(talkative.log, request=answer.headers["x-request-id"])
    assert line.items() >= {
        "level": "INFO", "logger": "asgi_project.access", "method": "GET", "route": route or path, "status": 200,
        "user": alice.user.pk,
    }.items()  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line["time"]))
    assert float(str(line["ms"])) > 0
    assert device not in json.dumps(line)


def test_refused_requests_and_missing_files_have_an_id(talkative: Process) -> None:
    for path, status in (("/api/history/x", 401), ("/nowhere", 404), ("/static/nope.js", 404)):
        answer = httpx.get(talkative.url + path, timeout=20)
        assert line_with(talkative.log, request=answer.headers["x-request-id"])["status"] == status


def test_a_socket_line_has_the_id_of_the_handshake_response(talkative: Process, alice: Person, device: str) -> None:
    with LiveSocket(talkative.url, person=alice, path=f"/ws/live/{device}") as live:
        live.until_type("subscribed")
        response = live._connection.response
        assert response is not None
        socket = response.headers["x-request-id"]
    line = line_with(talkative.log, socket=socket)
    assert line.items() >= {"code": 1000, "user": alice.user.pk, "route": "/ws/live"}.items()
    assert "request" not in line


def test_request_ids_are_unique(talkative: Process) -> None:
    ids = [httpx.get(f"{talkative.url}/livez", timeout=20).headers["x-request-id"] for _ in range(20)]
    assert len(set(ids)) == 20


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"X-Forwarded-For": "203.0.113.9"}, True),
        ({}, False),  # a direct request: not from the front
    ],
)
def test_a_request_id_is_accepted_from_a_trusted_front_only(
    headers: dict[str, str], is_taken: bool, talkative: Process
) -> None:
    mine = f"mine-{secrets.token_hex(4)}"
    answer = httpx.get(f"{talkative.url}/livez", headers={**headers, "X-Request-ID": mine}, timeout=20)
    assert (answer.headers["x-request-id"] == mine) is is_taken


@pytest.mark.parametrize("bad", ["", "a b", "x" * 65, 'a"b', "ä"])
def test_malformed_request_ids_are_replaced(bad: str, talkative: Process) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": bad.encode("latin-1")}
    answer = httpx.get(f"{talkative.url}/livez", headers=headers, timeout=20)  # type: ignore[arg-type]
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


def test_failures_and_slow_requests_are_logged_and_quick_ones_are_not(stack: Stack, tmp_path: Path) -> None:
    env = {**stack.env, "LOG_FORMAT": "json", "ACCESS_LOG_MIN_MS": "60000"}
    with server_process(env, tmp_path / "server.log") as server:
        good = httpx.get(f"{server.url}/login", timeout=20).headers["x-request-id"]
        bad = httpx.get(f"{server.url}/api/auth/me", timeout=20).headers["x-request-id"]
        assert line_with(server.log, request=bad)["status"] == 401
        assert good not in server.log.read_text()


# --- the shape of a line -----------------------------------------------------------------------------------------


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("somewhere", logging.WARNING, "file.py", 1, message, (), None)


def test_log_lines_cannot_be_forged() -> None:
    forged = "no such thing: x\n2026-01-01 00:00:00,000 INFO    auth: admin signed in\r\x1b[2K"
    line = LineFormatter().format(record(forged))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert json.loads(JsonFormatter().format(record(forged)))["message"] == forged
    assert len(JsonFormatter().format(record(forged)).splitlines()) == 1


def test_a_traceback_is_one_line_of_json() -> None:
    failed = record("it broke")
    try:
        raise ValueError("why")
    except ValueError as error:
        failed.exc_info = (ValueError, error, error.__traceback__)
    text = JsonFormatter().format(failed)
    assert "ValueError: why" in json.loads(text)["error"]
    assert len(text.splitlines()) == 1


def test_both_formats_contain_the_ids() -> None:
    held = CONTEXT.set(LogContext(request="abc"))
    try:
        note_user(7)
        assert LineFormatter().format(record("hello")).endswith("WARNING somewhere: hello [request=abc user=7]")
        line = json.loads(JsonFormatter().format(record("hello")))
        assert (line["request"], line["user"], "socket" in line) == ("abc", 7, False)
    finally:
        CONTEXT.reset(held)
    assert LineFormatter().format(record("hello")).endswith("somewhere: hello")


@pytest.mark.parametrize(("name", "value"), [("LOG_FORMAT", "xml"), ("LOG_LEVEL", "LOUD")])
def test_invalid_log_settings_are_rejected(name: str, value: str, stack: Stack, tmp_path: Path) -> None:
    for start, says in ((server_process, "serve: "), (writer_process, "")):
        process = start({**stack.env, name: value}, tmp_path / f"{says}.log").start(wait=False)
        wait_until(lambda p=process: not p.is_running, "the process exits", deadline_s=60)  # type: ignore[misc]
        assert f"{says}{name} is {value!r}; accepted are " in process.log.read_text()


# --- no secrets --------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """Server and writer at the most verbose log level, and every secret that they received or created."""

    server: Process
    writer: Process
    secrets: set[str] = field(default_factory=set)

    def secret(self, value: str) -> str:
        """Add a secret and return it."""
        self.secrets.add(value)
        return value

    def post(self, path: str, body: object, *, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.post(f"{self.server.url}{path}", json=body, headers=headers, timeout=30)


@pytest.mark.parametrize("log_format", ["line", "json"])
def test_logs_of_server_and_writer_contain_no_secret(
    log_format: str, stack: Stack, tmp_path: Path, alice: Person, bob: Person, device: str
) -> None:
    env = {**stack.env, "LOG_LEVEL": "DEBUG", "LOG_FORMAT": log_format, "ACCESS_LOG_MIN_MS": "0"}
    env["METRICS_TOKEN"] = secrets.token_urlsafe(24)
    with server_process(env, tmp_path / "server.log") as server, writer_process(env, tmp_path / "writer.log") as writer:
        site = Site(server, writer, {alice.token, bob.token, alice.password, env["METRICS_TOKEN"]})
        use_accounts(site, alice)
        use_sessions(site, alice)
        use_devices(site, env, alice, bob)
        use_history(site, alice, device)
        use_sockets(site, alice, device)
        use_metrics(site, env["METRICS_TOKEN"])
        use_device_keys(site, env, device)
    logs = {log.name: log.read_text() for log in tmp_path.glob("*.log")}
    assert all(re.search(r"DEBUG", text) for text in logs.values()), "the log level is not DEBUG"
    for name, text in logs.items():
        found = [secret for secret in site.secrets | of_environment(stack) if secret in text]
        assert not found, f"in {name}"


def of_environment(stack: Stack) -> set[str]:
    passwords = {
        stack.env[name].split("@")[0].rpartition(":")[2]
        for name in ("TELEMETRY_URL", "TELEMETRY_ADMIN_URL", "REDIS_URL")
    }
    assert all(len(password) >= 8 for password in passwords)
    return {stack.env["SECRET_KEY"], stack.env["INGEST_SECRET"], *passwords}


def use_accounts(site: Site, alice: Person) -> None:
    """Registration, logins, API keys, password change and logout, with valid and invalid input."""
    password = site.secret(f"pass-{secrets.token_hex(8)}")
    name = f"dave_{secrets.token_hex(4)}"
    assert site.post("/api/auth/register", {"username": name, "password": password}).status_code == 201
    assert site.post("/api/auth/register", {"username": name, "password": site.secret("short-1")}).status_code == 400
    wrong = site.secret(f"wrong-{secrets.token_hex(8)}")
    assert site.post("/api/auth/login", {"username": name, "password": wrong}).status_code == 401
    assert site.post(f"/api/auth/login?password={wrong}", [wrong]).status_code == 400
    token = site.secret(site.post("/api/auth/login", {"username": name, "password": password}).json()["token"])
    made = site.post("/api/auth/tokens", {"name": "meter"}, token=token)
    assert made.status_code == 201
    site.secret(made.json()["token"])
    site.post("/api/auth/tokens", {"name": ""}, token=token)
    new = site.secret(f"new-{secrets.token_hex(8)}")
    assert site.post("/api/auth/password", {"current_password": wrong, "new_password": new}, token=token).is_error
    change = {"current_password": password, "new_password": new}
    assert site.post("/api/auth/password", change, token=token).status_code == 204
    assert site.post("/api/auth/logout", {}, token=token).status_code == 204
    assert site.post("/api/auth/logout", {}, token=token).status_code == 401
    assert site.post("/api/auth/logout", {}, token=site.secret(f"wst_{secrets.token_urlsafe(24)}")).status_code == 401


def use_sessions(site: Site, alice: Person) -> None:
    """The login page: valid and invalid session cookies and CSRF tokens."""
    with httpx.Client(base_url=site.server.url, timeout=30, follow_redirects=True) as browser:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/login").text)
        assert found
        form = {"csrfmiddlewaretoken": site.secret(found[1]), "username": alice.username}
        browser.post("/login", data={**form, "password": site.secret("not-her-password-17")})
        assert browser.post("/login", data={**form, "password": alice.password}).url.path == "/"
        for cookie in browser.cookies.jar:
            assert cookie.value
            site.secret(cookie.value)
        assert browser.post("/api/auth/logout").status_code == 403  # without a CSRF token
        assert browser.get("/api/auth/me").status_code == 200
    stolen = {"Cookie": f"sessionid={site.secret(secrets.token_hex(16))}"}
    assert httpx.get(f"{site.server.url}/api/auth/me", headers=stolen, timeout=30).status_code == 401


def use_devices(site: Site, env: dict[str, str], alice: Person, bob: Person) -> None:
    """Claim codes, invalid and valid."""
    device_id = f"ems_{secrets.token_hex(5)}"
    told = dict(line.split(": ", 1) for line in manage(env, "provision_device", device_id).splitlines() if ": " in line)
    code = site.secret(told["claim code"].strip())
    site.secret(told["device key"].strip())
    wrong = site.secret(f"WRONG-{secrets.token_hex(6)}")
    assert site.post("/api/devices/claim", {"device_id": device_id, "claim_code": wrong}, token=alice.token).is_error
    claim = {"device_id": device_id, "claim_code": code}
    assert site.post(f"/api/devices/claim?claim_code={code}", claim, token=alice.token).status_code == 201
    assert site.post("/api/devices/claim", claim, token=bob.token).is_error


def use_history(site: Site, alice: Person, device: str) -> None:
    """Tokens in the header and, wrongly, in the URL."""
    headers = {"Authorization": f"Bearer {alice.token}"}
    for path in (f"/api/history/{device}", f"/api/latest?devices={device}", "/api/history/nothing", "/api/nowhere"):
        for place in ("", f"&token={alice.token}" if "?" in path else f"?token={alice.token}"):
            httpx.get(f"{site.server.url}{path}{place}", headers=headers, timeout=30)
            httpx.get(f"{site.server.url}{path}{place}", timeout=30)


def use_sockets(site: Site, alice: Person, device: str) -> None:
    """Sockets with bearer token, ticket (used twice), session and no credentials; also with secrets in the ignored URL
    query.
    """
    ticket = site.secret(site.post("/api/auth/ws-ticket", {}, token=alice.token).json()["ticket"])
    bad = site.secret(secrets.token_urlsafe(24))
    for path in (f"/ws/live?token={alice.token}", f"/ws/live/{device}?ticket={ticket}&token={bad}"):
        with LiveSocket(site.server.url, path=path) as live:
            live.close_code()
    for offered in (f"ticket.{ticket}", f"ticket.{ticket}", f"ticket.{bad}"):
        with LiveSocket(site.server.url, subprotocols=["wattstream.v1", offered]) as live, suppress(WebSocketException):
            live.next()
    with LiveSocket(site.server.url, person=alice) as live:
        live.subscribe(device)
        live.until_type("subscribed")
        live.send_text(json.dumps({"type": "subscribe", "devices": [bad], "since": bad}))
        live.until_type("error")
        live.send_text(f"not a frame {alice.token}")
        assert live.close_code() == 4400
    with suppress(WebSocketException):
        LiveSocket(site.server.url, headers={"Origin": f"http://{bad}.example", "Cookie": f"sessionid={bad}"}).close()


def use_metrics(site: Site, token: str) -> None:
    for shown in (token, site.secret(secrets.token_urlsafe(24))):
        httpx.get(f"{site.server.url}/metrics?token={shown}", headers={"Authorization": f"Bearer {shown}"}, timeout=30)


def use_device_keys(site: Site, env: dict[str, str], device: str) -> None:
    """The writer: valid and invalid keys over HTTP and websocket, and in the URL."""
    key = site.secret(device_key(env["INGEST_SECRET"], device))
    other = site.secret(device_key(env["INGEST_SECRET"], "another"))
    good = {"device_id": device, "time": "2026-06-01T00:00:00Z", "grid_power": 1.0}
    for shown in (key, other, site.secret(secrets.token_urlsafe(24))):
        headers = {"Authorization": f"Bearer {shown}"}
        for body in (good, {}, {"device_id": shown}, [good, {"device_id": device, "time": shown}]):
            httpx.post(f"{site.writer.url}/ingest?key={shown}", json=body, headers=headers, timeout=30)
        for sent in (headers, {}):
            with suppress(WebSocketException):
                LiveSocket(site.writer.url, path=f"/ws/device/{device}?key={shown}", headers=sent).close()
