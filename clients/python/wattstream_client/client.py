"""The client: history over HTTP, live readings over a websocket, and recovery after every interruption."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from wattstream_client.backoff import Backoff
from wattstream_client.errors import (
    Forbidden,
    NotAuthenticated,
    ProtocolViolation,
    TooLarge,
    Unreachable,
    WattstreamError,
)
from wattstream_client.events import Event, Gap, Reading, Unrecovered
from wattstream_client.history import History, history_get
from wattstream_client.series import Series, Span
from wattstream_client.stream import Stream, Timeouts, opened
from wattstream_client.times import iso_from_us, us_from_iso

HTTP_TIMEOUT_S = 30.0
# Close codes after which the same request would fail again.
FINAL: Mapping[int, type[WattstreamError]] = {4400: ProtocolViolation, 4401: NotAuthenticated, 4403: Forbidden}


class WattstreamClient:
    """Constructed closed; `async with` opens and closes it. `url`: the server's, `http://…` or `https://…`."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        backoff: Callable[[], Backoff] = Backoff,
        timeouts: Timeouts | None = None,
    ) -> None:
        """`backoff` is called once per `follow`, for the pauses between its attempts."""
        self._url = url.rstrip("/")
        self._token = token
        self._backoff = backoff
        self._timeouts = timeouts or Timeouts()
        self._http = httpx.AsyncClient(
            base_url=self._url, headers={"Authorization": f"Bearer {token}"}, timeout=HTTP_TIMEOUT_S
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def history(self, device_id: str, **parameters: str) -> History:
        """Return raw readings, e.g. `range="10m"`, or `start=…, end=…`, with `metrics="grid_power,battery_soc"`.

        Does not retry. Raises `NotAuthenticated`, `Forbidden`, `RequestRefused`, `Unreachable`.
        """
        return await history_get(self._http, device_id, parameters)

    async def follow(
        self, cursors: Mapping[str, str | None], *, metrics: Sequence[str] | None = None, interval_ms: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Yield the events after each device's cursor (None: only new readings). Reconnects without end.

        Yields each reading once, in time order; `Gap` and `Unrecovered` name readings that were not sent. Ends when
        access to every device has ended. Raises `NotAuthenticated`, `Forbidden`, `ProtocolViolation`,
        `RequestRefused`: a new attempt would fail in the same way.
        """
        at = dict(cursors)
        backoff = self._backoff()
        while at:
            try:
                async with opened(self._live_url, self._token, self._timeouts) as socket:
                    stream = Stream(socket, at, self._timeouts, on_subscribed=backoff.reset)
                    await stream.subscribe(metrics, interval_ms)
                    async with aclosing(stream.events()) as events:
                        async for event in events:
                            yield event
            except ConnectionClosed as closed:
                _raise_if_final(closed)
            except InvalidStatus as refused:
                if refused.response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    raise Forbidden(f"the handshake was refused with {refused.response.status_code}") from refused
            except (InvalidHandshake, OSError, TimeoutError):
                pass  # unreachable: try again after the back-off
            await asyncio.sleep(backoff.next_s())

    async def readings(
        self, cursors: Mapping[str, str | None], *, metrics: Sequence[str] | None = None
    ) -> AsyncGenerator[Reading, None]:
        """Yield the readings of `follow`, and load those that it names as missing from history.

        Yields each reading once. A reading that reached the server late is yielded late. `Revoked` and `Refused` end
        only their device.
        """
        series = Series(cursors)
        parameters = {} if metrics is None else {"metrics": ",".join(metrics)}
        async with aclosing(self.follow(cursors, metrics=metrics)) as events:
            async for event in events:
                if isinstance(event, Reading):
                    found = [event]
                elif isinstance(event, (Gap, Unrecovered)) and (span := series.span(event)) is not None:
                    found = await self._stored(event.device_id, span, parameters)
                else:
                    continue
                for reading in series.new(found):
                    yield reading

    async def _stored(self, device_id: str, span: Span, parameters: dict[str, str]) -> list[Reading]:
        """Return the stored readings in the span (µs, both included). Asks until the database has caught up with it.

        Gives up `fill_s` after the database last failed to respond: later readings in the span are not expected.
        """
        start, end = span
        backoff = self._backoff()
        deadline = time.monotonic() + self._timeouts.fill_s
        asked = parameters | {"start": iso_from_us(start), "end": iso_from_us(end + 1)}
        while True:
            try:
                found = await self.history(device_id, **asked)
            except TooLarge:
                middle = (start + end) // 2
                older = await self._stored(device_id, (start, middle), parameters)
                return older + await self._stored(device_id, (middle + 1, end), parameters)
            except Unreachable:
                deadline = time.monotonic() + self._timeouts.fill_s
            else:
                if _reaches(found, span) or time.monotonic() > deadline:
                    return found.readings
            await asyncio.sleep(backoff.next_s())

    @property
    def _live_url(self) -> str:
        return "ws" + self._url.removeprefix("http") + "/ws/live"


def _raise_if_final(closed: ConnectionClosed) -> None:
    if closed.rcvd is not None and closed.rcvd.code in FINAL:
        raise FINAL[closed.rcvd.code](f"the server closed with {closed.rcvd.code}") from closed


def _reaches(found: History, span: Span) -> bool:
    """Whether the database has caught up with the span. If the span is a single reading, whether it is stored."""
    start, end = span
    is_passed = found.cursor is not None and us_from_iso(found.cursor) >= end
    return is_passed and (start != end or bool(found.readings))
