"""Query parameters: one declaration parses the value and describes it in GET /api/schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import BadRequest


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A string. `default` is a JSON value, None if it depends on the request; `example` is a valid value."""

    name: str
    description: str
    default: Any = None
    example: Any = None
    required: bool = False
    place: str = "query"

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the value."""
        return {"type": "string"}


@dataclass(frozen=True, kw_only=True)
class Pattern(Parameter):
    """A string that a regular expression matches as a whole."""

    pattern: str

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.pattern}$"}


@dataclass(frozen=True, kw_only=True)
class PatternList(Pattern):
    """A comma-separated list of such strings, at least one."""

    most: int

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": super().schema, "minItems": 1, "maxItems": self.most}


@dataclass(frozen=True, kw_only=True)
class Choice(Parameter):
    """One of a fixed set of words."""

    accepted: Sequence[str]

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.accepted)}

    def parse(self, text: str | None) -> str:
        """The word, or the default for None. Raises `BadRequest`."""
        if text is None:
            return str(self.default)
        if text not in self.accepted:
            raise BadRequest(f"{self.name}: {text!r} is not one of {', '.join(self.accepted)}.")
        return text


@dataclass(frozen=True, kw_only=True)
class Choices(Parameter):
    """A comma-separated list of words of a fixed set, at least one."""

    accepted: Sequence[str]

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "enum": list(self.accepted)}, "minItems": 1}

    def parse(self, text: str | None) -> tuple[str, ...]:
        """The words in the order given, each once, or the default for None. Raises `BadRequest`."""
        if text is None:
            return tuple(self.default)
        words = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
        for word in words:
            if word not in self.accepted:
                raise BadRequest(f"{self.name}: {word!r} is not one of {', '.join(self.accepted)}.")
        return words


@dataclass(frozen=True, kw_only=True)
class WholeNumber(Parameter):
    """A whole number from `minimum` to `maximum`, below 10^9."""

    minimum: int
    maximum: int

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}

    def parse(self, text: str | None) -> int:
        """The number, or the default for None. Raises `BadRequest`."""
        if text is None:
            return int(self.default)
        is_number = len(text) < 10 and text.isascii() and text.isdecimal()
        if not is_number or not self.minimum <= int(text) <= self.maximum:
            raise BadRequest(f"{self.name}: {text[:20]!r} is not a whole number from {self.minimum} to {self.maximum}.")
        return int(text)


def require_known(given: Iterable[str], known: Mapping[str, Parameter]) -> None:
    """Raises `BadRequest` if a parameter is unknown; the message names it and the known ones."""
    unknown = [name for name in given if name not in known]
    if unknown:
        are = "is" if len(known) == 1 else "are"
        raise BadRequest(f"{min(unknown)[:40]}: there is no such parameter; accepted {are} {', '.join(known)}.")


def by_name(*parameters: Parameter) -> Mapping[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters}
