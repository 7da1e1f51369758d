"""A real HTTP server behind the front that records requests and sends slow or long responses."""

from __future__ import annotations

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

DEADLINE_S = 20.0
LARGE_MB = 64
HELD_BACK_S = 1.0


class Recorder:
    """`headers` of the last request, in lower case. The response to `/stream` ends only after `go_on` is set.

    `/large` sends 64 MiB; `large_was` tells whether all of it was accepted ("taken") or sending blocked ("held back").
    """

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        self.go_on = threading.Event()
        self.large_was: queue.Queue[str] = queue.Queue()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                recorder.headers = {name.lower(): value for name, value in self.headers.items()}
                recorder.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                if self.path == "/large":
                    recorder.large_was.put(self._large())
                    self.close_connection = True
                    return
                self._chunk(b"first")
                if self.path == "/stream":
                    recorder.go_on.wait(DEADLINE_S)
                    self._chunk(b"second")
                self._chunk(b"")

            do_POST = do_GET  # noqa: N815 - as http.server looks for it

            def _large(self) -> str:
                self.connection.settimeout(HELD_BACK_S)
                try:
                    for _ in range(LARGE_MB):
                        self._chunk(bytes(1024 * 1024))
                except TimeoutError:
                    return "held back"
                return "taken"

            def _chunk(self, part: bytes) -> None:
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")

            def log_message(self, *_: object) -> None:
                """Disable logging."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)
