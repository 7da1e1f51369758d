"""A site for several machines: a writer, two servers, and nginx in front of them, on the databases of the test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from telemetry.times import us_from_datetime
from testing.process import Process
from testing.servers import server_process, writer_process
from testing.waiting import wait_until
from tests.scale.front import front_before

ESTABLISHED = "01"  # in /proc/net/tcp


@dataclass
class ScaleSite:
    """`url` is that of the front; `env` is that of the writer, and the servers' may differ."""

    env: Mapping[str, str]
    writer: Process
    servers: list[Process]
    url: str

    def stored(self, device_id: str) -> list[int]:
        """Return the times (µs) in TimescaleDB, in order."""
        with psycopg.connect(self.env["TELEMETRY_ADMIN_URL"], connect_timeout=5) as connection:
            query = "SELECT time FROM energy_data WHERE device_id = %s ORDER BY time"
            return [us_from_datetime(row[0]) for row in connection.execute(query, [device_id])]

    def both_are_watched(self) -> None:
        """Wait until clients are connected to both servers."""
        wait_until(lambda: all(_connections(server.port) for server in self.servers), "sockets at both servers")


@contextmanager
def site_running(
    env: Mapping[str, str], folder: Path, *, server_env: Mapping[str, str] | None = None
) -> Iterator[ScaleSite]:
    both = dict(env)
    with ExitStack() as cleanup:
        writer = cleanup.enter_context(writer_process(both, folder / "writer.log"))
        forwarded = {**both, **(server_env or {}), "FORWARDED_ALLOW_IPS": "127.0.0.1/32"}
        servers = [
            cleanup.enter_context(server_process(forwarded, folder / f"server-{number}.log")) for number in (1, 2)
        ]
        front = cleanup.enter_context(front_before(servers, writer, folder))
        yield ScaleSite(both, writer, servers, front.url)


def _connections(port: int) -> int:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == ESTABLISHED for line in lines)
