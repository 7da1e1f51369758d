"""A server on a separate accounts database, filled only through its API and its commands."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Self

import httpx

from testing.cast import PASSWORD
from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack, manage

TIMEOUT_S = 60


class Site:
    """A server and its accounts. Its SECRET_KEY differs, so that login attempts count separately from other tests."""

    def __init__(self, stack: Stack, url: str, folder: Path, **more: str) -> None:
        self.env = {
            **stack.env,
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "NAMES_GIVEN_PER_USER": "10000",
            **more,
        }
        self.server: Process = server_process(self.env, folder / f"server_{secrets.token_hex(3)}.log")

    def client(self, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.server.url, headers=headers, timeout=TIMEOUT_S)

    def register(self, username: str) -> None:
        with self.client() as http:
            answer = http.post("/api/auth/register", json={"username": username, "password": PASSWORD})
            assert answer.status_code == 201, answer.text

    def login(self, username: str) -> httpx.Response:
        with self.client() as http:
            return http.post("/api/auth/login", json={"username": username, "password": PASSWORD})

    def token(self, username: str) -> str:
        answer = self.login(username)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def device(self, owner: str) -> str:
        device_id = f"ems_{secrets.token_hex(4)}"
        manage(self.env, "provision_device", device_id, "--owner", owner)
        return device_id

    def manage(self, *arguments: str) -> str:
        return manage(self.env, *arguments)

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.stop()
