"""GET history's answer as bytes, with the tag that says whether a client has it already (RFC 9110, section 8.8).

The tag is made from the answer itself. So whatever changes the answer changes the tag, late readings included, and a
304 saves the transfer but not the query. In a window that is closed the cursor is left out: it moves with every
reading although nothing in the window has changed. An older cursor is as good as a new one there, for it stands for
readings beyond the window; hence the tag is weak, "equivalent" rather than "the same bytes".

A cheaper validator belongs in `history_answer`'s caller, before the flight. It must not follow from the newest reading
alone, which a late one leaves as it is; counts and newest time of a tier miss a corrected value. What does determine
the answer: the device, window, step, zone, metrics, aggs, fill and format; whether `window.high` is past; for a live
window the newest reading; and a version for each device and day that the window touches, which every statement on the
table raises (kept by the trigger that keeps the tiers). A hash of these can be had without an aggregate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from history_app.csv import history_csv
from history_app.flights import Flights
from history_app.service import History, Question, history_document, history_read
from telemetry.times import iso_from_us

FORMATS = ("json", "csv")
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    content_type: str
    etag: str


answers: Flights[Answer] = Flights()


async def history_answer(device_id: str, question: Question, answer_format: str) -> Answer:
    """Read and encode. Raises what `history_read` raises."""
    history = await history_read(device_id, question)
    if answer_format == "csv":
        body = history_csv(history).encode()
        return Answer(body, "text/csv; charset=utf-8", _tag(body))
    body = orjson.dumps(history_document(history))
    return Answer(body, "application/json", _tag(_without_cursor(body, history)))


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether an If-None-Match header names the tag, by weak comparison (RFC 9110, section 13.1.2)."""
    return if_none_match.strip() == "*" or etag.removeprefix("W/") in _ENTITY_TAG.findall(if_none_match)


def _tag(content: bytes) -> str:
    return f'W/"{blake2b(content, digest_size=12).hexdigest()}"'


def _without_cursor(body: bytes, history: History) -> bytes:
    """What the tag of a JSON answer is made from. A cursor that is null stays: it stands for no reading at all."""
    newest = history.columns.newest
    if newest is None or history.question.is_live or history.window.high > history.question.now:
        return body
    return body.replace(b'"cursor":"%s"' % iso_from_us(newest).encode(), b'"cursor":"any"', 1)
