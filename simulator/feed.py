"""Live readings for a running writer: one per second and device over HTTP, after the readings that it missed."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from urllib.parse import urlsplit

import orjson
import psycopg
from psycopg.sql import SQL, Identifier

from simulator.house import House
from telemetry.backoff import Backoff
from telemetry.catalogue import Catalogue
from telemetry.ddl import table_of
from telemetry.keys import device_key
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime

log = logging.getLogger("simulator")

TIMEOUT_S = 10
BATCH_READINGS = 2_000


class AwayError(Exception):
    """The writer or the database is unavailable; a retry is appropriate."""


class Feed:
    """Sends the readings of some devices to one writer. Each device continues after its newest stored row."""

    def __init__(self, url: str, secret: str, database_url: str, catalogue: Catalogue, device_ids: list[str]) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)
        self._path = parts.path.rstrip("/") + "/ingest"
        self._database_url = database_url
        self._catalogue = catalogue
        self._houses = {device_id: House(device_id) for device_id in device_ids}
        self._keys = {device_id: device_key(secret, device_id) for device_id in device_ids}
        self._next_s: dict[str, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set. Raises PermissionError if the writer rejects the device keys."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                self._send_due(stop)
                if backoff.failures:
                    log.warning("the writer is available again; all missed readings were sent")
                backoff.reset()
                pause_s = 1 - time.time() % 1
            except AwayError as error:
                if not backoff.failures:
                    log.warning("retrying: %s", error)
                pause_s = backoff.failed()
            stop.wait(pause_s)
        self._connection.close()

    def _send_due(self, stop: threading.Event) -> None:
        """Send every reading that is due."""
        if not self._next_s:
            self._next_s = self._after_stored()
        now_s = int(time.time())
        for device_id in self._houses:
            while self._next_s[device_id] <= now_s and not stop.is_set():
                end_s = min(now_s + 1, self._next_s[device_id] + BATCH_READINGS)
                self._post(device_id, orjson.dumps(self._readings(device_id, self._next_s[device_id], end_s)))
                self._next_s[device_id] = end_s

    def _readings(self, device_id: str, start_s: int, end_s: int) -> list[dict[str, object]]:
        readings: list[dict[str, object]] = []
        for first_s, values in self._houses[device_id].seconds(start_s, end_s):
            columns = {name: array.tolist() for name, array in values.items()}
            for offset, numbers in enumerate(zip(*columns.values(), strict=True)):
                at = iso_from_us((first_s + offset) * SECOND_US)
                readings.append({"device_id": device_id, "time": at, **dict(zip(columns, numbers, strict=True))})
        return readings

    def _post(self, device_id: str, body: bytes) -> None:
        headers = {"Authorization": f"Bearer {self._keys[device_id]}", "Content-Type": "application/json"}
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            # Only the database knows which readings the writer stored before the connection failed.
            self._next_s = {}
            raise AwayError(f"the writer is unavailable: {error or type(error).__name__}") from error
        self._judge(device_id, response.status, answer)

    def _judge(self, device_id: str, status: int, answer: bytes) -> None:
        if status == 401:
            raise PermissionError("the writer rejects the device keys: set INGEST_SECRET to the writer's value")
        if status not in (200, 400):
            raise AwayError(f"the writer answers {status}: {answer[:200].decode(errors='replace')}")
        if refused := orjson.loads(answer).get("refused"):
            log.warning("%s: %d readings refused; the first: %s", device_id, len(refused), refused[0]["reason"])

    def _after_stored(self) -> dict[str, int]:
        """Return the second after the newest stored row of each device; the current second without rows."""
        names = {"table": table_of(self._catalogue), "time": Identifier(self._catalogue.time)}
        query = SQL("SELECT {time} FROM {table} WHERE {device} = %s ORDER BY {time} DESC LIMIT 1").format(
            **names, device=Identifier(self._catalogue.device)
        )
        found = {}
        try:
            with psycopg.connect(self._database_url, connect_timeout=TIMEOUT_S) as connection:
                connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{TIMEOUT_S}s"])
                for device_id in self._houses:
                    row = connection.execute(query, [device_id]).fetchone()
                    found[device_id] = us_from_datetime(row[0]) // SECOND_US + 1 if row else int(time.time())
        except psycopg.OperationalError as error:
            raise AwayError(f"the telemetry database is unavailable: {' '.join(str(error).split())}") from error
        return found
