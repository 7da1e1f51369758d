"""Conditional requests (RFC 9110, section 13): 304 without computing the response.

A process remembers which tag belonged to which fingerprint of which question (`history_app.sql.fingerprint`). The
fingerprint is read before the history, so a tag is never newer than its fingerprint.
"""

from __future__ import annotations

from collections.abc import Hashable

from core.bounded import BoundedDict
from core.public import etag_matches
from core.single_flight import Flights
from history_app.answer import history_fingerprint, history_read
from history_app.document import Document, history_encode
from history_app.question import Question

TAGS_KNOWN = 5_000
_flights: Flights[Document] = Flights()
_tags: BoundedDict[Hashable, tuple[Hashable, str]] = BoundedDict(TAGS_KNOWN)


async def history_document(
    key: Hashable, device_id: str, question: Question, answer_format: str, if_none_match: str
) -> Document | str:
    """Return the document, or only its tag if `if_none_match` names it and nothing has changed.

    Identical simultaneous questions share one result: `key` contains everything that it depends on except the time.
    Raises `TooLarge` and `Unavailable`.
    """
    known = _tags.get(key) if if_none_match else None
    if known is not None and etag_matches(if_none_match, known[1]):
        fingerprint = await history_fingerprint(device_id, question)
        if fingerprint == known[0]:
            return known[1]
    is_remembered = bool(if_none_match) or not question.is_live
    found = await _flights.join(
        key, lambda: _document(key, device_id, question, answer_format, is_remembered=is_remembered)
    )
    return found.etag if if_none_match and etag_matches(if_none_match, found.etag) else found


async def _document(
    key: Hashable, device_id: str, question: Question, answer_format: str, *, is_remembered: bool
) -> Document:
    """`is_remembered`: whether to keep the tag: for closed windows, and for clients that send If-None-Match."""
    fingerprint = await history_fingerprint(device_id, question) if is_remembered else None
    document = history_encode(await history_read(device_id, question), answer_format)
    if fingerprint is not None:
        _tags[key] = (fingerprint, document.etag)
    return document
