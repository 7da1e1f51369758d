"""deploy/nginx.conf on a real nginx, in front of the real server and writer; trust in forwarded client addresses."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.urls import Resolver404, resolve
from websockets.sync.client import connect

from telemetry.keys import device_key
from telemetry.problems import CONTENT_TYPE
from telemetry.times import iso_from_us
from testing.cast import Person, device_create, person_create
from testing.process import ROOT, Process, free_port
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us
from tests.project.deployment import NGINX_CONF, SERVICES
from tests.project.front import front_before
from tests.project.recorder import Recorder
from writer.http import ingest, sockets
from writer.settings import LIMITS

pytestmark = pytest.mark.processes

CONF = NGINX_CONF.read_text()
FAILURES = 3
FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Forwarded-Port": "443",
    "X-Real-IP": "203.0.113.7",
    "Forwarded": "for=203.0.113.7;proto=https",
    "X-Request-ID": "forged",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


def address() -> str:
    """Return a random loopback address, so that counters of other clients do not apply."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"


@pytest.fixture(scope="module")
def trusting(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that trusts the front, as in compose.yaml."""
    env = {**stack.env, "FORWARDED_ALLOW_IPS": "127.0.0.1/32", "LOGIN_FAILURES_PER_ADDRESS": str(FAILURES)}
    with server_process(env, tmp_path_factory.mktemp("front") / "server.log") as process:
        yield process


@pytest.fixture(scope="module")
def front(trusting: Process, writer: Process) -> Iterator[Process]:
    with front_before(trusting.url, writer.url) as process:
        yield process


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as running:
        yield running


@pytest.fixture
def recorded(recorder: Recorder) -> Iterator[Process]:
    """A front with the recorder in place of both services."""
    with front_before(recorder.url, recorder.url) as process:
        yield process


@pytest.fixture
def owner(front: Process) -> Iterator[Person]:
    """A user who reaches the server through the front."""
    person = person_create(f"dora_{secrets.token_hex(4)}", base_url=front.url)
    yield person
    person.http.close()


# --- through the front, to the real server and writer ------------------------------------------------------------


def test_the_page_and_its_files_are_served(front: Process) -> None:
    with httpx.Client(base_url=front.url, follow_redirects=True, timeout=30) as browser:
        page = browser.get("/")
        assert page.status_code == 200
        assert page.url.path == "/login"
        assert page.url.port == front.port, "redirects stay on the published port"
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
        assert files
        assert {browser.get(file).status_code for file in files} == {200}


def test_login_with_the_form_works(front: Process, owner: Person) -> None:
    """Cookie, CSRF token and Origin check all need the Host header that the browser sends."""
    with httpx.Client(base_url=front.url, follow_redirects=True, timeout=30) as browser:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/login").text)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "username": owner.username, "password": owner.password}
        page = browser.post("/login", data=form, headers={"Origin": front.url})
        assert (page.status_code, page.url.path) == (200, "/")


def test_a_reading_sent_to_ingest_arrives_on_the_socket(front: Process, stack: Stack, owner: Person) -> None:
    device_id = device_create(owner=owner)
    with LiveSocket(front.url, person=owner, headers={"Origin": front.url}) as socket:
        socket.subscribe(device_id)
        socket.until_type("subscribed")
        us = now_us()
        reading = {"device_id": device_id, "time": iso_from_us(us), "battery_voltage": 53.2}
        key = device_key(stack.env["INGEST_SECRET"], device_id)
        answer = httpx.post(f"{front.url}/ingest", json=reading, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
        socket.until_time(device_id, us)
    latest = owner.http.get(f"/api/history/{device_id}", params={"range": "10m"})
    assert latest.status_code == 200


def test_device_sockets_pass_through_the_front(front: Process, stack: Stack) -> None:
    device_id = device_create()
    headers = {"Authorization": f"Bearer {device_key(stack.env['INGEST_SECRET'], device_id)}"}
    url = front.url.replace("http", "ws") + f"/ws/device/{device_id}"
    with connect(url, additional_headers=headers, proxy=None, open_timeout=20) as socket:
        socket.send(json.dumps({"device_id": device_id, "time": iso_from_us(now_us()), "grid_power": 1.0}))
        assert json.loads(socket.recv(timeout=20))["accepted"] == 1


def test_metrics_are_not_published(front: Process, writer: Process) -> None:
    assert httpx.get(f"{writer.url}/metrics", timeout=30).status_code == 200
    for path in ("/metrics", "/metrics?x", "//metrics", "/%6detrics"):
        answer = httpx.get(f"{front.url}{path}", timeout=30)
        assert answer.status_code == 404
        assert "wattstream_" not in answer.text
    is_problem(httpx.get(f"{front.url}/metrics", timeout=30), 404, "not_found")


def test_the_server_keeps_the_request_id_of_the_front(front: Process) -> None:
    answer = httpx.get(f"{front.url}/livez", headers={"X-Request-ID": "mine"}, timeout=30)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


# --- who the client is -------------------------------------------------------------------------------------------


def refused_logins(url: str, client: str, forged: list[str]) -> list[int]:
    """Return the status of a failing login per forged address, all from one real address, each for another account."""
    with httpx.Client(base_url=url, transport=httpx.HTTPTransport(local_address=client), timeout=30) as http:
        return [
            http.post(
                "/api/auth/login",
                json={"username": f"nobody_{secrets.token_hex(6)}", "password": "wrong-password"},
                headers={"X-Forwarded-For": said, "Forwarded": f"for={said}"},
            ).status_code
            for said in forged
        ]


def someone_else() -> list[str]:
    """Return distinct addresses, one more than the allowed failures."""
    return [f"203.0.113.{number}" for number in random.sample(range(1, 255), FAILURES + 1)]


def test_forged_client_addresses_are_ignored_behind_the_front(front: Process) -> None:
    assert refused_logins(front.url, address(), someone_else()) == [401] * FAILURES + [429]


def test_the_front_forwards_the_client_address(front: Process) -> None:
    assert refused_logins(front.url, address(), ["127.0.0.1"] * FAILURES) == [401] * FAILURES
    assert refused_logins(front.url, address(), ["127.0.0.1"]) == [401], "clients count separately"


def test_without_a_front_forwarded_addresses_are_ignored(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even 127.0.0.1 is trusted, uvicorn's default. A separate SECRET_KEY separates the counters."""
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    own = {"LOGIN_FAILURES_PER_ADDRESS": str(FAILURES), "SECRET_KEY": secrets.token_hex(32)}
    with server_process({**stack.env, **own}, tmp_path / "server.log") as server:
        assert refused_logins(server.url, "127.0.0.1", someone_else()) == [401] * FAILURES + [429]


def test_an_invalid_forwarded_allow_ips_is_rejected(stack: Stack) -> None:
    for wrong in ("front", "10.0.0.1/24", "127.0.0.1,*"):
        done = subprocess.run(
            [sys.executable, "-m", "asgi_project.server.serve", "--port", str(free_port())],
            cwd=ROOT, env={**os.environ, **stack.env, "FORWARDED_ALLOW_IPS": wrong},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "serve: FORWARDED_ALLOW_IPS has" in done.stderr


# --- what the front itself does ----------------------------------------------------------------------------------


def test_forwarding_headers_of_clients_are_replaced(recorder: Recorder, recorded: Process) -> None:
    client = address()
    with httpx.Client(transport=httpx.HTTPTransport(local_address=client), timeout=30) as http:
        http.get(f"{recorded.url}/api/devices", headers=FORGED)
    assert recorder.headers["x-forwarded-for"] == client
    assert recorder.headers["x-forwarded-proto"] == "http"
    assert recorder.headers["host"] == f"127.0.0.1:{recorded.port}"
    assert re.fullmatch(r"[0-9a-f]{32}", recorder.headers["x-request-id"])
    assert (
        not {"forwarded", "x-real-ip", "x-forwarded-host", "x-forwarded-port", "traceparent"} & recorder.headers.keys()
    )


def test_only_websockets_are_upgraded(recorder: Recorder, recorded: Process) -> None:
    httpx.get(f"{recorded.url}/", headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}, timeout=30)
    assert "upgrade" not in recorder.headers
    assert recorder.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/ingest", "/api/devices"])
def test_a_body_arrives_complete(path: str, recorder: Recorder, recorded: Process) -> None:
    body = secrets.token_bytes(900_000)
    httpx.post(recorded.url + path, content=body, timeout=30)
    assert recorder.body == body


def test_a_response_is_forwarded_without_buffering(recorder: Recorder, recorded: Process) -> None:
    with httpx.stream("GET", f"{recorded.url}/stream", timeout=10) as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first", "buffered until the response was complete"
        recorder.go_on.set()
        assert b"".join(parts) == b"second"


def test_a_slow_client_blocks_the_service_and_fills_no_disk(recorder: Recorder, recorded: Process) -> None:
    """Exports can be very long: nginx must not read ahead of the client."""
    with httpx.stream("GET", f"{recorded.url}/large", timeout=30):
        assert recorder.large_was.get(timeout=30) == "held back"


@pytest.mark.parametrize("path", ["/api/devices", "/ingest", "/"])
def test_a_stopped_service_is_a_503_within_3_s(path: str) -> None:
    with Recorder() as recorder, front_before(recorder.url, recorder.url) as front:
        recorder.__exit__(None, None, None)
        started = time.monotonic()
        answer = httpx.get(front.url + path, timeout=30)
        assert time.monotonic() - started < 3
        is_problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize(("path", "limit"), [("/ingest", LIMITS["max_body_bytes"][0]), ("/api/x", 1024 * 1024)])
def test_a_body_over_the_limit_of_the_service_is_refused(path: str, limit: int, recorded: Process) -> None:
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 1024 * 1024
    assert httpx.post(recorded.url + path, content=b"x" * limit, timeout=30).status_code == 200
    is_problem(httpx.post(recorded.url + path, content=b"x" * (limit + 1), timeout=30), 413, "too_large")


@pytest.mark.parametrize(("path", "most"), [("/api/auth/login", 60), ("/login", 60), ("/ingest", 1_500)])
def test_one_address_that_floods_is_429_and_others_are_not(path: str, most: int, recorded: Process) -> None:
    """`most`: burst and rate of the configuration, with some seconds to spare."""

    def sent(source: str, count: int) -> list[httpx.Response]:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source), timeout=30) as http:
            return [http.post(recorded.url + path, content=b"x") for _ in range(count)]

    hostile, other = address(), address()
    with ThreadPoolExecutor(8) as threads:
        answers = [one for many in threads.map(lambda _: sent(hostile, most // 4), range(8)) for one in many]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused, "the front passed everything on"
    is_problem(refused[0], 429, "too_many_attempts")
    assert int(refused[0].headers["Retry-After"]) > 0
    assert {answer.status_code for answer in sent(other, 5)} == {200}


def is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    problem = answer.json()
    assert problem.keys() == {"status", "title", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)


# --- the configuration -------------------------------------------------------------------------------------------


def test_the_locations_match_the_routes_of_the_writer() -> None:
    locations = re.findall(r"location (= )?(/\S*) \{\s+(?:client_max_body_size[^\n]+\s+)?proxy_pass \$(\w+);", CONF)
    assert sorted(locations) == [("", "/", "server"), ("", "/ws/device/", "writer"), ("= ", "/ingest", "writer")]
    of_devices = {getattr(route, "path", "") for router in (ingest.router, sockets.router) for route in router.routes}
    assert of_devices == {"/ingest", "/ws/device/{device_id}"}
    with pytest.raises(Resolver404):
        resolve("/ingest")


def test_connection_timeouts_exceed_the_heartbeat() -> None:
    seconds = [int(value) for value in re.findall(r"proxy_(?:read|send)_timeout (\d+)s;", CONF)]
    assert len(seconds) == 2
    assert min(seconds) >= 3 * settings.LIVE_HEARTBEAT_S


def test_addresses_match_compose() -> None:
    for name in ("server", "writer"):
        command = SERVICES[name]["command"]
        assert f"http://{name}:{command[command.index('--port') + 1]};" in CONF
    listened = re.search(r"listen (\d+);", CONF)
    assert listened
    assert SERVICES["front"]["ports"][0].endswith(f":{listened[1]}")
    assert f"127.0.0.1:{listened[1]}/livez" in SERVICES["front"]["healthcheck"]["test"][-1]
