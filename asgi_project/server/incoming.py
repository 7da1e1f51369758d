"""What one HTTP connection may make uvicorn hold, and for how long. These bounds come before any route and credential.

A request has HTTP_HEAD_TIMEOUT_S for its head and HTTP_BODY_TIMEOUT_S for its body. A request that is incomplete after
SLOW_AFTER_S is slow, and an address may have HTTP_SLOW_PER_ADDRESS of those. auth_app/http/body.py limits bodies.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from typing import Any, ClassVar

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from telemetry.problems import CONTENT_TYPE, problem_body

HEADERS_MAX = 200
PIPELINED_MAX = 32
SLOW_AFTER_S = 2.0
LATE_S = 0.5  # a timer that is later than this waits once more: what the client sent may not have been read yet
LINGER_S = 2.0  # for a refused client to read the response before the connection is reset
LINGER_BYTES = 1024 * 1024
FRAMING = 4  # a chunked body may take so many times its own length

HEAD, BODY, REST = "head", "body", "rest"  # REST: of a body whose response was sent before its end


class RefusedRequestError(Exception):
    """Raised in a callback of the parser; `BoundedHttpProtocol` has stored the response."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with bounds on size, time and number of incomplete requests."""

    slow: ClassVar[Counter[str]] = Counter()  # incomplete requests by address, of this process

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stage: str | None = None  # what the parser is in the middle of
        self._stage_bytes = 0
        self._refusal = (400, "The request is not valid HTTP.", "bad_request")
        self._is_refused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timed: str | None = None  # the stage that the timer is for
        self._deadline = 0.0
        self._slow_address: str | None = None

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch(HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._stage_bytes += len(data)
            if self._stage_bytes > LINGER_BYTES:
                self.transport.abort()
            return
        stage = self._stage
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # a websocket now
            self._watch(None)
            return
        if self._is_refused or self.transport.is_closing():
            return
        self._stage_bytes = self._stage_bytes + len(data) if stage == self._stage else len(data)
        if self._stage == HEAD and self._stage_bytes > settings.HTTP_HEAD_MAX_BYTES:
            self._refuse(*_head_too_large())
        elif self._stage is BODY and self._stage_bytes > FRAMING * settings.HTTP_BODY_MAX_BYTES:
            self._refuse(413, f"body: at most {settings.HTTP_BODY_MAX_BYTES} bytes are accepted.", "too_large")
        else:
            self._watch(self._awaited())

    # --- the parser's side ---

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINED_MAX:
            raise RefusedRequestError
        super().on_message_begin()
        self._stage = HEAD

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage is HEAD:  # else a trailer, which nothing reads
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > settings.HTTP_HEAD_MAX_BYTES or len(self.headers) > HEADERS_MAX:
            self._refusal = _head_too_large()
            raise RefusedRequestError
        super().on_headers_complete()
        self._stage = BODY

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stage = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._stage is BODY and not self.transport.is_closing():
            self._watch(REST)

    def send_400_response(self, msg: str) -> None:
        """uvicorn's name for the response to what the parser refuses."""
        self._refuse(*self._refusal)

    # --- time ---

    def _awaited(self) -> str | None:
        """What the client must send next; None while it may wait for its response, or be idle."""
        is_answered = self.cycle is None or self.cycle.response_complete
        if self._stage is BODY:
            return REST if is_answered else BODY
        if self._stage is HEAD:
            return HEAD
        is_idle = is_answered and self.timeout_keep_alive_task is not None
        return None if is_idle or not is_answered else HEAD

    def _watch(self, stage: str | None) -> None:
        if stage is self._timed:
            return
        self._timed = stage
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if stage is None:
            self._slow_end()
            return
        seconds = {HEAD: settings.HTTP_HEAD_TIMEOUT_S, BODY: settings.HTTP_BODY_TIMEOUT_S, REST: LINGER_S}[stage]
        self._deadline = self.loop.time() + seconds
        self._schedule(min(SLOW_AFTER_S, seconds))

    def _schedule(self, seconds: float) -> None:
        due = self.loop.time() + seconds
        self._timer = self.loop.call_at(due, self._on_time, due)

    def _on_time(self, due: float) -> None:
        now = self.loop.time()
        if now - due > LATE_S:
            self._schedule(LATE_S / 2)
        elif now >= self._deadline:
            self._time_is_over()
        elif self._slow_begin():
            self._schedule(self._deadline - now)
        else:
            self.transport.abort()

    def _time_is_over(self) -> None:
        if self._timed is REST or not self._stage:
            self.transport.abort()
        else:
            self._refuse(408, f"The {self._timed} of the request took too long.", "timeout")

    def _slow_begin(self) -> bool:
        """Count this connection as slow. Return whether its address may have one more."""
        address = self.client[0] if self.client else None
        if address is None or self._slow_address is not None or self._is_forwarder(address):
            return True
        if self.slow[address] >= settings.HTTP_SLOW_PER_ADDRESS:
            return False
        self.slow[address] += 1
        self._slow_address = address
        return True

    def _slow_end(self) -> None:
        if self._slow_address is not None:
            self.slow[self._slow_address] -= 1
            if not self.slow[self._slow_address]:
                del self.slow[self._slow_address]
            self._slow_address = None

    def _is_forwarder(self, address: str) -> bool:
        """Whether many clients may stand behind this address (FORWARDED_ALLOW_IPS)."""
        allowed = self.config.forwarded_allow_ips or []
        if "*" in allowed:
            return True
        try:
            return any(ipaddress.ip_address(address) in ipaddress.ip_network(item) for item in allowed)
        except ValueError:
            return False

    # --- refusing ---

    def _refuse(self, status: int, detail: str, code: str) -> None:
        """Send a problem document unless another response is under way, and end the connection."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        self._stage_bytes = 0
        self._unset_keepalive_if_required()
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if self.pipeline or (is_busy and (self._stage is not BODY or self.cycle.response_started)):
            self.transport.abort()
            return
        if is_busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()  # to read and discard: a reset would overtake the response
        body = problem_body(status, detail, code)
        self.transport.write(b"".join([STATUS_LINE[status], _HEAD, b"content-length: %d\r\n\r\n" % len(body), body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._watch(REST)


_HEAD = (
    b"content-type: " + CONTENT_TYPE.encode() + b"\r\n"
    b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n"
)


def _head_too_large() -> tuple[int, str, str]:
    limits = f"{settings.HTTP_HEAD_MAX_BYTES} bytes and {HEADERS_MAX} headers"
    return 431, f"The request line and the headers are too large; accepted are {limits}.", "too_large"
