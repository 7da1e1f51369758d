"""Redis Cluster with three masters: sharded channels for readings, plain channels for messages to all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator

import pytest

from live_app.redis.subscriber import subscriber_of
from telemetry.cluster import device_slot
from telemetry.names import live_channel, ring_key
from testing.cast import PASSWORD, Person, device_create
from testing.redis_servers import SLOTS, RedisCluster, RedisServer, running
from testing.stack import Stack
from testing.waiting import wait_until, wait_until_async
from tests.chaos.drama import Drama
from tests.scale.site import ScaleSite, site_running

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with running(RedisCluster(tmp_path_factory.mktemp("cluster"))) as started:
        yield started


@pytest.fixture(scope="module")
def site(stack: Stack, cluster: RedisCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaleSite]:
    env = {**stack.env, "REDIS_URL": cluster.url}
    with site_running(env, tmp_path_factory.mktemp("cluster-site")) as started:
        yield started


@pytest.fixture
def devices(person: Person) -> list[str]:
    """One device per master."""
    found: dict[int, str] = {}
    while len(found) < len(ONE_OF_EACH):
        device_id = device_create(owner=person)
        found[shard_of(device_id)] = device_id
    return list(found.values())


class Listener:
    """Records the callbacks of a subscriber: readings, messages, subscriptions and lost subscriptions."""

    def __init__(self) -> None:
        self.given: list[tuple[str, bytes]] = []
        self.messages: list[tuple[str, bytes]] = []
        self.subscribed: list[str] = []
        self.lost: list[str] = []

    def on_reading(self, device_id: str, payload: bytes) -> None:
        self.given.append((device_id, payload))

    def on_message(self, channel: str, payload: bytes) -> None:
        self.messages.append((channel, payload))

    def on_subscribed(self, device_id: str) -> None:
        self.subscribed.append(device_id)

    def on_lost(self, device_ids: Collection[str]) -> None:
        self.lost.extend(device_ids)


def shard_of(device_id: str) -> int:
    """Return the index of the master that holds the device at the start."""
    return next(number for number in range(3) if device_slot(device_id) < SLOTS * (number + 1) // 3)


ONE_OF_EACH = [next(name for name in map("ems_{}".format, range(100)) if shard_of(name) == shard) for shard in range(3)]


@pytest.fixture
async def listener(cluster: RedisCluster) -> AsyncIterator[Listener]:
    """A subscriber with one device per master."""
    heard = Listener()
    stream = subscriber_of(cluster.url, heard, ["wattstream:test"])
    for device_id in ONE_OF_EACH:
        stream.subscribe(device_id)
    task = asyncio.create_task(stream.run())
    try:
        await until(lambda: stream.is_connected and set(heard.subscribed) == set(ONE_OF_EACH), "subscribed")
        heard.subscribed.clear()
        heard.lost.clear()
        yield heard
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], object], what: str) -> None:
    async def holds() -> bool:
        return bool(condition())

    await wait_until_async(holds, what)


async def test_a_lost_connection_affects_only_devices_of_that_master(listener: Listener, cluster: RedisCluster) -> None:
    for shard in (1, 2):
        listener.lost.clear()
        listener.subscribed.clear()
        await asyncio.to_thread(kill_sharded_connections, cluster.masters[shard])
        await until(lambda: listener.subscribed, "subscribed again")
        assert listener.lost == listener.subscribed == [ONE_OF_EACH[shard]]


def kill_sharded_connections(node: RedisServer) -> None:
    for client in str(node.ask("CLIENT", "LIST")).splitlines():
        fields = dict(part.partition("=")[::2] for part in client.split())
        if fields["ssub"] != "0":
            node.ask("CLIENT", "KILL", "ID", fields["id"])


async def test_a_moved_slot_resubscribes_only_its_device(listener: Listener, cluster: RedisCluster) -> None:
    device_id, source, target = ONE_OF_EACH[0], cluster.masters[0], cluster.masters[1]
    listener.subscribed.clear()
    await asyncio.to_thread(move_slot, cluster, device_slot(device_id), source, target)
    try:
        await until(lambda: listener.subscribed, "subscribed at the other master")
        assert listener.lost == listener.subscribed == [device_id]
        target.ask("SPUBLISH", live_channel(device_id, is_cluster=True), "x")
        await until(lambda: listener.given == [(device_id, b"x")], "received from the other master")
    finally:
        await asyncio.to_thread(move_slot, cluster, device_slot(device_id), target, source)


def move_slot(cluster: RedisCluster, slot: int, source: RedisServer, target: RedisServer) -> None:
    """Move an empty slot as redis-cli does."""
    for node in (target, source, *cluster.masters):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.ask("CLUSTER", "MYID"))


async def test_plain_messages_arrive_once_from_any_node(listener: Listener, cluster: RedisCluster) -> None:
    for number, node in enumerate(cluster.nodes):
        node.ask("PUBLISH", "wattstream:test", str(number))
    await until(lambda: len(listener.messages) >= len(cluster.nodes), "heard")
    assert sorted(listener.messages) == [("wattstream:test", str(number).encode()) for number in range(6)]


async def test_break_messages_arrive_in_order_with_readings(listener: Listener, cluster: RedisCluster) -> None:
    device_id = ONE_OF_EACH[2]
    for payload in ("1", device_id, "2"):
        cluster.masters[2].ask("SPUBLISH", live_channel(device_id, is_cluster=True), payload)
    await until(lambda: len(listener.given) == 2, "both readings")
    assert listener.messages == [("telemetry:break", device_id.encode())]


def test_ring_and_channel_of_a_device_are_in_the_slot_of_its_id(cluster: RedisCluster) -> None:
    node = cluster.masters[0]
    for device_id in ONE_OF_EACH:
        for name in (ring_key(device_id, is_cluster=True), live_channel(device_id, is_cluster=True)):
            assert node.ask("CLUSTER", "KEYSLOT", name) == device_slot(device_id)


async def test_a_master_is_killed_under_load_and_its_replica_takes_over(
    act: Drama, site: ScaleSite, person: Person, cluster: RedisCluster
) -> None:
    master, replica = cluster.masters[0], cluster.replicas[0]
    master.kill()
    try:
        await until(lambda: cluster.is_master(replica), "the replica is the master")
        await act.flow()
        await asyncio.to_thread(signing_in_and_tickets_work, person)
        latest = await asyncio.to_thread(person.http.get, f"/api/latest?devices={','.join(act.devices)}")
        assert all(entry["online"] for entry in latest.json()), latest.text
        await act.settle()
    finally:
        master.start()
        await until(lambda: not cluster.is_master(master), "the killed master is a replica")


def signing_in_and_tickets_work(person: Person) -> None:
    """Login attempts and tickets both depend on Redis."""
    wait_until(lambda: person.http.post("/api/auth/ws-ticket").status_code == 200, "tickets are issued again")
    answer = person.http.post("/api/auth/login", json={"username": person.username, "password": PASSWORD})
    assert answer.status_code == 200
    assert person.http.get("/api/devices").status_code == 200


async def test_a_planned_failover_under_load(act: Drama, cluster: RedisCluster) -> None:
    """The old master becomes a replica, and its connections stay open."""
    replica = cluster.replicas[1]
    assert not cluster.is_master(replica)
    replica.ask("CLUSTER", "FAILOVER")
    await until(lambda: cluster.is_master(replica), "the replica is the master")
    await act.flow()
    await act.settle()


async def test_all_sharded_connections_are_killed_under_load(act: Drama, cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        await asyncio.to_thread(kill_sharded_connections, node)
    await act.flow()
    await act.settle()
