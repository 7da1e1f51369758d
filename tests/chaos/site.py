"""The whole site as real processes: private databases, a writer, two servers, and a proxy on every connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from telemetry.times import us_from_datetime
from testing.process import Process
from testing.proxy import TcpProxy
from testing.servers import server_process, writer_process
from testing.stack import manage
from tests.chaos.services import Services


class Site:
    """Clients use `url`: `front` forwards to `servers[0]` until `point_at`.

    `store_proxy` and `writer_redis_proxy` connect the writer to the databases; `server_redis_proxy` connects the
    servers.
    """

    def __init__(self, env: Mapping[str, str], folder: Path, proxy: type[TcpProxy] = TcpProxy) -> None:
        self.services = Services()
        self.services.start()
        try:
            self._prepare(env, folder, proxy)
        except BaseException:
            self.services.remove()
            raise

    def _prepare(self, env: Mapping[str, str], folder: Path, proxy: type[TcpProxy]) -> None:
        """Create everything but the databases, which run already. Starts no other process."""
        self.env = {**env, **self.services.env()}
        manage(self.env, "telemetry_schema", "--apply")
        self.store_proxy = proxy(_address(self.env["TELEMETRY_ADMIN_URL"]))
        self.writer_redis_proxy = proxy(_address(self.env["REDIS_URL"]))
        self.server_redis_proxy = proxy(_address(self.env["REDIS_URL"]))
        writer_env = self.env | {
            "TELEMETRY_ADMIN_URL": _through(self.store_proxy, self.env["TELEMETRY_ADMIN_URL"]),
            "REDIS_URL": _through(self.writer_redis_proxy, self.env["REDIS_URL"]),
            "WRITER_PUBLISH_MAX_READINGS": "10000",
        }
        server_env = self.env | {"REDIS_URL": _through(self.server_redis_proxy, self.env["REDIS_URL"])}
        self.writer = writer_process(writer_env, folder / "writer.log")
        self.servers = [server_process(server_env, folder / f"server-{number}.log") for number in (1, 2)]
        self.front = proxy(("127.0.0.1", self.servers[0].port))
        self.url = f"http://127.0.0.1:{self.front.port}"

    @property
    def processes(self) -> list[Process]:
        return [self.writer, *self.servers]

    def heal(self) -> None:
        """Start and reconnect everything that a test stopped or cut."""
        self.services.start()
        for proxy in self.proxies:
            proxy.restore()
            proxy.resume()
        for process in self.processes:
            if not process.is_running:
                process.start()
        self.point_at(0)

    def point_at(self, number: int) -> None:
        """Forward new connections to this server."""
        self.front.point_at(("127.0.0.1", self.servers[number].port))

    def stored(self, device_id: str) -> list[int]:
        """Return the times (µs) in TimescaleDB, in order."""
        with psycopg.connect(self.env["TELEMETRY_ADMIN_URL"], connect_timeout=5) as connection:
            query = "SELECT time FROM energy_data WHERE device_id = %s ORDER BY time"
            return [us_from_datetime(row[0]) for row in connection.execute(query, [device_id])]

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.env["REDIS_URL"], socket_timeout=5)

    def close(self) -> None:
        for process in self.processes:
            process.stop()
        for proxy in self.proxies:
            proxy.close()
        self.services.remove()

    @property
    def proxies(self) -> list[TcpProxy]:
        return [self.front, self.store_proxy, self.writer_redis_proxy, self.server_redis_proxy]


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


def _through(proxy: TcpProxy, url: str) -> str:
    parts = urlsplit(url)
    userinfo = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{userinfo}@127.0.0.1:{proxy.port}"))
