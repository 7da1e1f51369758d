"""A loopback TCP proxy that can be cut or paused: makes a server unreachable for one client without stopping it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.managers import BaseManager, BaseProxy
from typing import Any, TypeVar

T = TypeVar("T")
CALL_DEADLINE_S = 10.0


class TcpProxy:
    """Forwards `port` to `target`. All methods are thread-safe."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.connections_accepted = 0
        self.port = 0
        self._thread.start()
        self._call(self._listen())

    def point_at(self, target: tuple[str, int]) -> None:
        """Forward new connections to another target."""
        self._target = target

    def cut(self) -> None:
        """Kill every connection and refuse new ones."""
        self._call(self._cut())

    def restore(self) -> None:
        """Accept connections again on the same port."""
        self._call(self._listen())

    def kill_connections(self) -> None:
        """Kill every connection; accept new ones."""
        self._call(self._kill())

    def pause(self) -> None:
        """Keep connections open but forward no bytes, like a half-open connection."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self) -> None:
        self._loop.call_soon_threadsafe(self._flowing.set)

    def close(self) -> None:
        self.resume()
        self._call(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_DEADLINE_S)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_DEADLINE_S)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._kill()

    async def _kill(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_accepted += 1
        try:
            target_reader, target_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, target_writer}
        copies: list[Callable[[], Awaitable[None]]] = [
            lambda: self._copy(reader, target_writer),
            lambda: self._copy(target_reader, writer),
        ]
        await asyncio.gather(*(copy() for copy in copies))
        self._writers -= {writer, target_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.close()


class ProxyProcess(TcpProxy):
    """A TcpProxy in a separate process, so that it takes no CPU time from the process of a measurement."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._manager = _Manager(ctx=get_context("spawn"))
        self._manager.start()
        self._proxy = self._manager.TcpProxy(target)  # type: ignore[attr-defined]
        self.port = self._proxy._callmethod("__getattribute__", ("port",))
        self.pid: int = self._manager._process.pid  # type: ignore[attr-defined]

    def point_at(self, target: tuple[str, int]) -> None:
        self._proxy._callmethod("point_at", (target,))

    def cut(self) -> None:
        self._proxy._callmethod("cut")

    def restore(self) -> None:
        self._proxy._callmethod("restore")

    def kill_connections(self) -> None:
        self._proxy._callmethod("kill_connections")

    def pause(self) -> None:
        self._proxy._callmethod("pause")

    def resume(self) -> None:
        self._proxy._callmethod("resume")

    def close(self) -> None:
        with suppress(OSError, EOFError, TimeoutError):  # the process has already ended
            self._proxy._callmethod("close")
        self._manager.shutdown()


class _Manager(BaseManager):
    """Starts the process."""


class _Remote(BaseProxy):
    """Calls the methods of the remote proxy."""

    _exposed_ = ("__getattribute__", "point_at", "cut", "restore", "kill_connections", "pause", "resume", "close")


_Manager.register("TcpProxy", TcpProxy, proxytype=_Remote)
