"""No secret reaches a log."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import httpx
from websockets.exceptions import WebSocketException

from telemetry.keys import device_key
from tests.support.cast import Person
from tests.support.servers import server_process, writer_process
from tests.support.socket import LiveSocket
from tests.support.stack import Stack


def test_tokens_passwords_and_keys_are_in_no_log(stack: Stack, tmp_path: Path, alice: Person, device: str) -> None:
    key = device_key(stack.env["INGEST_SECRET"], device)
    env = {**stack.env, "LOG_LEVEL": "INFO"}
    with server_process(env, tmp_path / "server.log") as server, writer_process(env, tmp_path / "writer.log") as writer:
        for path in (f"/ws/live?token={alice.token}", f"/ws/live/{device}?ticket={alice.token}"):
            with LiveSocket(server.url, path=path) as live:
                live.close_code()
        with LiveSocket(server.url, person=alice) as live:
            live.subscribe(device)
            live.until_type("subscribed")
        login = {"username": alice.username, "password": alice.password}
        token = httpx.post(f"{server.url}/api/auth/login", json=login).json()["token"]
        httpx.get(f"{server.url}/api/history/{device}?token={token}", headers={"Authorization": f"Bearer {token}"})
        httpx.post(f"{server.url}/api/auth/login", json={"username": alice.username, "password": "wrong-but-secret"})
        httpx.post(f"{writer.url}/ingest?key={key}", json={}, headers={"Authorization": f"Bearer {key}"})
        with suppress(WebSocketException):
            LiveSocket(writer.url, path=f"/ws/device/{device}?key={key}").close()
    logs = "".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert "serving on" in logs
    for secret in (alice.token, token, alice.password, "wrong-but-secret", key, *_secrets(stack)):
        assert secret not in logs


def _secrets(stack: Stack) -> list[str]:
    passwords = [stack.env[name].split("@")[0].rpartition(":")[2] for name in ("TELEMETRY_URL", "REDIS_URL")]
    return [stack.env["SECRET_KEY"], stack.env["INGEST_SECRET"], *passwords]
