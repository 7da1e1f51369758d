"""The measured servers: their commands, the dialogue of a socket with each, and the bus for their readings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import redis

from bench.fanout import mqtt, websocket
from bench.fanout.publisher import reading_now
from bench.fanout.sockets import Dialogue
from bench.stack import FOLDER, ROOT, BenchStack
from telemetry.names import RING_FIELD, live_channel, ring_key
from testing.process import Process, free_port

MOSQUITTO_CONFIGURATION = """\
user nobody
persistence false
allow_anonymous true
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
listener {port} 127.0.0.1
protocol websockets
http_dir {folder}/http
listener {tcp_port} 127.0.0.1
protocol mqtt
"""

_numbers = count()


@dataclass(frozen=True, eq=False)
class Server:
    """A measured server. `bus` and `address`: for the publisher; `talk`: the dialogue that subscribes to devices."""

    key: str
    title: str
    bus: str
    address: str
    command: Sequence[str]
    talk: Callable[[Sequence[str]], Dialogue]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_path: str = "/livez"
    port: int | None = None

    def process(self, stack: BenchStack) -> Process:
        return stack.server(self.key, self.command, self.ready_path, env=self.env, port=self.port)


def servers(stack: BenchStack) -> list[Server]:
    """Return all servers in the order of the report."""
    address, ours = stack.env["REDIS_URL"], wattstream(stack)
    python = [sys.executable, "-m"]
    daphne = [*python, "daphne", "-v", "0", "-b", "127.0.0.1", "-p", "{port}"]
    tutorial = [*daphne, "bench.peers.channels_tutorial.asgi:application"]
    fastapi = [*python, "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning",
               "bench.peers.fastapi_tutorial:app"]  # fmt: skip
    on_daphne = [*daphne, "asgi_project.server.daphne:application"]
    return [
        ours,
        Server("wattstream-daphne", "wattstream on daphne", "redis", address, on_daphne, ours.talk),
        _mosquitto(),
        Server("fastapi", "FastAPI tutorial", "redis", address, fastapi, _talk_by_url),
        *(
            Server(layer, title, layer, address, tutorial, _talk_by_url, {"BENCH_LAYER": layer})
            for layer, title in (("channels-pubsub", "Channels, pubsub layer"), ("channels", "Channels, core layer"))
        ),
    ]


def wattstream(stack: BenchStack) -> Server:
    """Return the production server, one process."""
    command = [sys.executable, "-m", "asgi_project.server.serve", "--port", "{port}"]
    talk = _talk_to_wattstream(stack.token)
    return Server("wattstream", "wattstream", "redis", stack.env["REDIS_URL"], command, talk)


def rings_fill(stack: BenchStack, devices: Sequence[str]) -> None:
    """Give each device a ring, as a writer does. Without rings, thousands of joins would each query TimescaleDB."""
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client, client.pipeline(transaction=False) as pipeline:
        for device in devices:
            pipeline.xadd(ring_key(device), {RING_FIELD: reading_now(device, 0)})
        pipeline.execute()


def _talk_to_wattstream(token: str) -> Callable[[Sequence[str]], Dialogue]:
    def talk(devices: Sequence[str]) -> Dialogue:
        request = json.dumps({"type": "subscribe", "id": 1, "devices": list(devices)}).encode()
        opening = websocket.client_frame(websocket.TEXT, request)
        headers = {"Authorization": f"Bearer {token}"}
        return Dialogue("/ws/live", headers, opening, b'"subscribed"', len(devices))

    return talk


def _talk_by_url(devices: Sequence[str]) -> Dialogue:
    return Dialogue(f"/live?devices={','.join(devices)}")


def _talk_mqtt(devices: Sequence[str]) -> Dialogue:
    packets = mqtt.connect(f"browser-{next(_numbers)}"), mqtt.subscribe([live_channel(device) for device in devices])
    opening = b"".join(websocket.client_frame(websocket.BINARY, packet) for packet in packets)
    return Dialogue("/mqtt", {"Sec-WebSocket-Protocol": "mqtt"}, opening, mqtt.SUBACK, 1)


def _mosquitto() -> Server:
    """Return Debian's Mosquitto with one listener for browsers and one for devices."""
    found = subprocess.run(
        [sys.executable, "-m", "lib.machine.deploy_tools", "mosquitto"],
        cwd=ROOT / "scripts", check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder, port, tcp_port = FOLDER / "mosquitto", free_port(), free_port()
    (folder / "http").mkdir(parents=True, exist_ok=True)
    (folder / "http" / "livez.html").write_text("ok\n")
    configuration = folder / "mosquitto.conf"
    configuration.write_text(MOSQUITTO_CONFIGURATION.format(port=port, tcp_port=tcp_port, folder=folder))
    command = [found.stdout.strip(), "-c", str(configuration)]
    address = f"mqtt://127.0.0.1:{tcp_port}"
    return Server("mosquitto", "Mosquitto (C)", "mqtt", address, command, _talk_mqtt, {}, "/livez.html", port)
