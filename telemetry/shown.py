"""How a value of unknown origin appears in messages and logs."""

from __future__ import annotations

SHOWN_CHARACTERS = 60
SHOWN_BITS = 128


def shown(value: object) -> str:
    """`value` in a few words: short for any input, without control characters."""
    match value:
        case str():
            return repr(value) if len(value) <= SHOWN_CHARACTERS else repr(value[:SHOWN_CHARACTERS]) + "…"
        case list():
            return "a list"
        case dict():
            return "an object"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > SHOWN_BITS:
            return "a number of too many digits"
    return repr(value)
