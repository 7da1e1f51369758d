"""docs/asyncapi.json describes the live protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asyncapi3.models.asyncapi import AsyncAPI3
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue import CATALOGUE
from live_app.delivery import frames, protocol
from live_app.delivery.requests import MalformedFrame, RequestRefused, request_parse
from live_app.schemas import RECEIVED, SENT
from telemetry.reading import Reading
from telemetry.times import SECOND_US
from testing.contract import SOCKETS, frame_check, frame_validator
from testing.process import ROOT
from testing.stack import Stack, manage

READING = Reading("ems_001", 1_795_132_800 * SECOND_US, (None, *map(float, range(1, len(CATALOGUE.names)))))
FRAMES = [
    frames.welcome("alice", 20),
    frames.subscribed(1, "ems_001", None, recovered=False),
    frames.subscribed("a", "ems_001", READING.us, recovered=True),
    frames.unsubscribed(None, "ems_001"),
    frames.revoked("ems_001"),
    frames.pong(3),
    frames.gap("ems_001", READING.us, READING.us + 1),
    frames.reading(READING, CATALOGUE.names, None),
    frames.reading(READING, CATALOGUE.names, (0, 2)),
    frames.backlog([READING, READING], CATALOGUE.names, None),
    frames.backlog([READING], CATALOGUE.names, (1,)),
    *(frames.error(None, code, "so it is") for code in protocol.ERROR_CODES),
]
# 3.0 is an integer in JSON Schema but not for the parser; no client writes it.
FRACTIONS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer())
INTEGERS = st.integers(-(2**63), 2**63)
HOSTILE = st.recursive(
    st.none() | st.booleans() | INTEGERS | FRACTIONS | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from([*RECEIVED, "nonsense"]) | HOSTILE,
    "id": INTEGERS | st.text(max_size=5) | HOSTILE,
    "devices": st.lists(st.text(max_size=5), max_size=3) | HOSTILE,
    "since": st.none() | st.dictionaries(st.text(max_size=5), st.none(), max_size=2) | HOSTILE,
    "metrics": st.lists(st.sampled_from(CATALOGUE.names), max_size=3) | HOSTILE,
    "interval_ms": st.integers(-1, protocol.INTERVAL_MAX_MS + 1) | HOSTILE,
}


def test_the_committed_document_matches_the_output_of_the_command(stack: Stack) -> None:
    printed = manage(stack.env, "asyncapi")
    committed = (ROOT / "docs/asyncapi.json").read_text()
    assert printed == committed, "run: .venv/bin/python manage.py asyncapi > docs/asyncapi.json"


def test_the_document_is_valid_asyncapi_3() -> None:
    AsyncAPI3.model_validate(json.loads((ROOT / "docs/asyncapi.json").read_text()))


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: json.loads(frame.payload)["type"])
def test_frames_match_their_schemas(frame: frames.Frame) -> None:
    frame_check(json.loads(frame.payload))


def test_the_document_contains_every_frame_and_close_code() -> None:
    assert {json.loads(frame.payload)["type"] for frame in FRAMES} == set(SENT)
    codes = {value for name, value in vars(protocol).items() if name.startswith("CLOSE_") and isinstance(value, int)}
    assert set(protocol.CLOSE_CODES) == codes
    assert set(map(int, SOCKETS["channels"]["live"]["x-close-codes"])) == codes


@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_exactly_the_requests_that_match_their_schema_are_accepted(frame: dict[str, Any]) -> None:
    """Except for `since` as text: the schema does not describe which texts are cursors."""
    text = json.dumps(frame)
    kind = frame.get("type")
    fits = isinstance(kind, str) and kind in RECEIVED and frame_validator(kind).is_valid(json.loads(text))
    assert _is_taken(text) in (fits, None)


def _is_taken(text: str) -> bool | None:
    """Return whether the request is accepted; None if only the cursor is invalid."""
    try:
        request_parse(text, CATALOGUE)
    except (MalformedFrame, RequestRefused) as refused:
        return None if str(refused).startswith("since: ") else False
    return True


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_request_or_refused(text: str) -> None:
    with pytest.raises((MalformedFrame, RequestRefused)):
        request_parse(text, CATALOGUE)
