"""Temporary Redis servers as real processes: a master with a replica and three Sentinels, or a cluster."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import redis

from testing.process import ROOT, STOP_DEADLINE_S, free_port
from testing.waiting import wait_until

sys.path.insert(0, str(ROOT / "scripts"))

from lib.machine.account import services_folder

SERVICE = "wattstream"
SLOTS = 16384
DOWN_AFTER_MS = 1_000
# As in production: no persistence.
BASE = ["bind 127.0.0.1", "protected-mode no", 'save ""', "appendonly no", "daemonize no"]


class RedisServer:
    """One process. `lines`: its configuration; `password`: for its clients."""

    def __init__(
        self, folder: Path, password: str, lines: Sequence[str] = (), *, arguments: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        self.password = password
        self._folder = folder / str(self.port)
        self._arguments = arguments
        self._folder.mkdir()
        own = [f"port {self.port}", f"dir {self._folder}", *BASE, *lines]
        (self._folder / "redis.conf").write_text("\n".join(own) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        program = services_folder() / "prefix/usr/bin/redis-server"
        command = [str(program), str(self._folder / "redis.conf"), *self._arguments]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._answers, f"Redis answers on {self.port}, see {self._folder}/log")
        return self

    def kill(self) -> None:
        """End the process as a crash does."""
        self.signal(signal.SIGKILL)
        self.stop()

    def signal(self, what: signal.Signals) -> None:
        assert self._process is not None, "not started"
        os.kill(self._process.pid, what)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the process: connections stay open without answers."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()  # it has no data to save
        self._process.wait(STOP_DEADLINE_S)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password or None, socket_timeout=5, decode_responses=True)

    def ask(self, *command: Any) -> Any:
        with self.client() as client:
            return client.execute_command(*command)

    def info(self, section: str) -> dict[str, Any]:
        with self.client() as client:
            found: dict[str, Any] = client.info(section)
            return found

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except redis.ConnectionError:
            return False


class SentinelSet:
    """A master, a replica and three Sentinels that agree on the master."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_urlsafe(16)
        login = [f"requirepass {self.password}", f"masterauth {self.password}"]
        first = RedisServer(folder, self.password, login)
        second = RedisServer(folder, self.password, [*login, f"replicaof 127.0.0.1 {first.port}"])
        self.servers = [first, second]
        watch = [
            f"requirepass {self.password}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {first.port} 2",
            f"sentinel auth-pass {SERVICE} {self.password}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 5000",
        ]
        self.sentinels = [RedisServer(folder, self.password, watch, arguments=["--sentinel"]) for _ in range(3)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://:{self.password}@{hosts}/{SERVICE}/0?sentinel_password={self.password}"

    @property
    def master(self) -> RedisServer:
        """The current master according to the Sentinels."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def start(self) -> Self:
        for server in [*self.servers, *self.sentinels]:
            server.start()
        wait_until(lambda: self.servers[1].info("replication")["master_link_status"] == "up", "the replica follows")
        wait_until(lambda: all(map(self._is_ready, self.sentinels)), "the Sentinels know each other and the replica")
        return self

    def _is_ready(self, sentinel: RedisServer) -> bool:
        state = sentinel.info("sentinel")["master0"]
        return bool(state["sentinels"] == len(self.sentinels) and state["slaves"] == 1 and state["status"] == "ok")

    def fail_over(self) -> None:
        """Request a failover and wait until the other server is the master."""
        before = self.master
        self.sentinels[0].ask("SENTINEL", "FAILOVER", SERVICE)
        wait_until(lambda: self.master is not before, "the other server is the master", deadline_s=30)

    def stop(self) -> None:
        for server in [*self.sentinels, *self.servers]:
            server.stop()


class RedisCluster:
    """Three masters that share the slots evenly, each with a replica: at the start, `replicas[n]` of `masters[n]`."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_urlsafe(16)
        self._bus_port = free_port()  # of the first node, which introduces the others to each other
        bus_ports = [self._bus_port, *(free_port() for _ in range(5))]
        nodes = [RedisServer(folder, self.password, self._lines(bus_port)) for bus_port in bus_ports]
        self.masters, self.replicas = nodes[:3], nodes[3:]

    def _lines(self, bus_port: int) -> list[str]:
        return [
            f"requirepass {self.password}",
            f"masterauth {self.password}",
            "cluster-enabled yes",
            f"cluster-port {bus_port}",
            f"cluster-node-timeout {DOWN_AFTER_MS}",
            "cluster-require-full-coverage no",
        ]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{self.password}@{hosts}"

    @property
    def nodes(self) -> list[RedisServer]:
        return [*self.masters, *self.replicas]

    def start(self) -> Self:
        for node in self.nodes:
            node.start()
        for number, master in enumerate(self.masters):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            master.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            master.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.masters[0].port, self._bus_port)
        wait_until(lambda: all(self._knows(node, len(self.nodes)) for node in self.nodes), "all nodes know each other")
        for master, replica in zip(self.masters, self.replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", master.ask("CLUSTER", "MYID"))
        wait_until(lambda: all(map(self._is_ready, self.nodes)), "the cluster is complete", deadline_s=30)
        return self

    def _knows(self, node: RedisServer, count: int) -> bool:
        state = self._state(node)
        return state["cluster_known_nodes"] == str(count) and state["cluster_size"] == str(len(self.masters))

    def _state(self, node: RedisServer) -> dict[str, str]:
        told = node.ask("CLUSTER", "INFO")
        if isinstance(told, dict):
            return {name: str(value) for name, value in told.items()}
        return dict(line.split(":", 1) for line in str(told).splitlines())

    def _is_ready(self, node: RedisServer) -> bool:
        if self._state(node)["cluster_state"] != "ok":
            return False
        replication = node.info("replication")
        if node in self.replicas:
            return bool(replication["role"] == "slave" and replication.get("master_link_status") == "up")
        return bool(replication["role"] == "master" and replication["connected_slaves"] == 1)

    def is_master(self, node: RedisServer) -> bool:
        return bool(node.info("replication")["role"] == "master")

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


@contextmanager
def running(servers: SentinelSet | RedisCluster) -> Iterator[Any]:
    with ExitStack() as cleanup:
        cleanup.callback(servers.stop)
        yield servers.start()
