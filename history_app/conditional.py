"""GET history's answer as bytes, with the tag that says whether a client has it already (RFC 9110, section 8.8).

The tag is made from the answer itself. So whatever changes the answer changes the tag, late readings included, and a
304 saves the transfer. In a window that is closed the cursor is left out: it moves with every
reading although nothing in the window has changed. An older cursor is as good as a new one there, for it stands for
readings beyond the window; hence the tag is weak, "equivalent" rather than "the same bytes".

A 304 without the query: where the window has a version (history_app/sql/fingerprint.py), a process remembers which
tag belonged to which version of which question. The version is read before the answer, so a tag is never newer than
its version.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from zlib import adler32, crc32

import orjson

from core.single_flight import Flights
from history_app.answer import History, Question, history_document, history_read, history_version
from history_app.csv import history_csv
from telemetry.times import iso_from_us

_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    content_type: str
    etag: str


answers: Flights[Answer] = Flights()
_known_versions: OrderedDict[Hashable, tuple[Hashable, str]] = OrderedDict()
KNOWN_VERSIONS = 5_000


async def known_tag(key: Hashable, device_id: str, question: Question, if_none_match: str) -> str | None:
    """The tag of the present answer, if it is one that the client has, found without asking for the answer.

    `key` holds all that the answer depends on but the moment. Raises what `history_version` raises.
    """
    found = _known_versions.get(key)
    if found is None or not is_known(if_none_match, found[1]):
        return None
    return found[1] if await history_version(device_id, question) == found[0] else None


def _remember(key: Hashable, version: Hashable, tag: str) -> None:
    _known_versions[key] = (version, tag)
    _known_versions.move_to_end(key)
    while len(_known_versions) > KNOWN_VERSIONS:
        _known_versions.popitem(last=False)


async def history_answer(
    key: Hashable, device_id: str, question: Question, answer_format: str, *, is_conditional: bool
) -> Answer:
    """Read and encode, and remember the version for the next one who has the tag: for a closed window, which keeps its
    version, and for a client that asks conditionally. Raises what `history_read` raises."""
    version = None
    if is_conditional or not question.is_live:
        version = await history_version(device_id, question)
    answer = await _encoded(device_id, question, answer_format)
    if version is not None:
        _remember(key, version, answer.etag)
    return answer


async def _encoded(device_id: str, question: Question, answer_format: str) -> Answer:
    history = await history_read(device_id, question)
    if answer_format == "csv":
        body = history_csv(history).encode()
        return Answer(body, "text/csv; charset=utf-8", _tag(body))
    body = orjson.dumps(history_document(history), option=orjson.OPT_SERIALIZE_NUMPY)
    return Answer(body, "application/json", _tag(_without_cursor(body, history)))


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether an If-None-Match header names the tag, by weak comparison (RFC 9110, section 13.1.2)."""
    return if_none_match.strip() == "*" or etag.removeprefix("W/") in _ENTITY_TAG.findall(if_none_match)


def _tag(content: bytes) -> str:
    """Two checksums and the length: a fifth of the cost of a cryptographic hash, which would defend nobody here (who
    could forge a match would have to write the readings of a device that they already see)."""
    return f'W/"{crc32(content):08x}{adler32(content):08x}{len(content):x}"'


def _without_cursor(body: bytes, history: History) -> bytes:
    """What the tag of a JSON answer is made from. A cursor that is null stays: it stands for no reading at all."""
    newest = history.columns.newest
    if newest is None or history.question.is_live or history.window.high > history.question.now:
        return body
    return body.replace(b'"cursor":"%s"' % iso_from_us(newest).encode(), b'"cursor":"any"', 1)
