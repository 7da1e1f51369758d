"""Redis Cluster: clients that raise RedisError as the others do, and the node of each device."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster
from redis.crc import key_slot
from redis.exceptions import RedisClusterException

SLOTS = 16384
# After these errors the topology may have changed.
_DOUBTFUL = (redis.ConnectionError, redis.TimeoutError, redis.ResponseError, RedisClusterException)


def device_slot(device_id: str) -> int:
    """The hash slot of a device's ring and channel: both have the id as their hash tag."""
    return int(key_slot(device_id.encode()))


class AsyncCluster(redis.asyncio.RedisCluster):
    """Never retries a command, and refreshes the topology after a failure."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().execute_command(*args, **options)
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from error

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> _AsyncPipeline:
        return _AsyncPipeline(self, transaction)  # type: ignore[abstract]  # as redis-py does itself

    async def ping(self, **options: Any) -> Any:
        """Ping one node: the cluster may be up although a node is down."""
        return await super().ping(target_nodes=self.DEFAULT_NODE, **options)


class _AsyncPipeline(redis.asyncio.cluster.ClusterPipeline):
    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        client = self.cluster_client
        try:
            results = await super().execute(raise_on_error, allow_redirections)
        except _DOUBTFUL as error:
            await client.aclose()
            raise redis.ConnectionError(str(error)) from error
        if any(isinstance(result, _DOUBTFUL) for result in results):
            await client.aclose()  # the next command opens it and refreshes the topology
        return results


class Cluster(redis.RedisCluster):
    """The client for threads."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from error


class ClusterMember(redis.asyncio.Redis):
    """A client of one node. It uses the names of a cluster; the node refuses keys that it does not hold."""


class Topology:
    """The master of each slot, as the nodes of the cluster report it."""

    def __init__(self, cluster: AsyncCluster) -> None:
        self._cluster = cluster
        self._masters: dict[int, tuple[str, int]] = {}

    async def refresh(self) -> bool:
        """Query the nodes again; return whether anything changed. Raises RedisError."""
        manager = self._cluster.nodes_manager
        try:
            await manager.initialize()
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from error
        masters = {slot: (str(nodes[0].host), int(nodes[0].port)) for slot, nodes in manager.slots_cache.items()}
        before, self._masters = self._masters, masters
        return masters != before

    def master_of(self, slot: int) -> tuple[str, int]:
        """Host and port of the master of a slot. Raises RedisError if no node holds it."""
        try:
            return self._masters[slot]
        except KeyError:
            raise redis.ConnectionError(f"no node of the cluster holds slot {slot}") from None

    @property
    def masters(self) -> set[tuple[str, int]]:
        return set(self._masters.values())

    async def aclose(self) -> None:
        await self._cluster.nodes_manager.aclose()
        await self._cluster.nodes_manager.aclose("startup_nodes")
