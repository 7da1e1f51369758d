"""Logging of all processes: one line per record, for people or for machines, with the ids of request or socket."""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import orjson

LINE_FORMAT = "{asctime} {levelname:<7} {name}: {message}"
FORMATS = ("line", "json")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# Escaped, so that no input can forge a line of the log. A traceback keeps its line breaks.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


@dataclass(slots=True)
class LogContext:
    """The current request or socket by the id that its client received, its route and the id of its user.

    All tasks and threads of a request share one object, so later lines have what was learned meanwhile.
    """

    request: str | None = None
    socket: str | None = None
    route: str | None = None
    user: int | None = None
    closed: int | None = None  # of a socket: the code that its client closed it with

    def ids(self) -> dict[str, str | int]:
        """The known ids by name."""
        named = (("request", self.request), ("socket", self.socket), ("route", self.route), ("user", self.user))
        return {name: value for name, value in named if value is not None}


CONTEXT: ContextVar[LogContext | None] = ContextVar("wattstream_log_context", default=None)


def note_route(route: str) -> None:
    """Set the route of the current request or socket: the pattern, never the path."""
    context = CONTEXT.get()
    if context is not None:
        context.route = route


def note_user(user_id: int) -> None:
    """Set the user of the current request or socket."""
    context = CONTEXT.get()
    if context is not None:
        context.user = user_id


def note_closed(code: int) -> None:
    """Set the code with which the client closed the current socket."""
    context = CONTEXT.get()
    if context is not None:
        context.closed = code


class LineFormatter(logging.Formatter):
    """For people: time, level, logger, message, and the ids (the route is left to JSON) in brackets."""

    def __init__(self) -> None:
        super().__init__(LINE_FORMAT, style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        record.message = record.message.translate(_CONTROLS)
        line = super().formatMessage(record)
        context = CONTEXT.get()
        ids = {} if context is None else context.ids()
        ids.pop("route", None)
        return f"{line} [{' '.join(f'{name}={value}' for name, value in ids.items())}]" if ids else line


class JsonFormatter(logging.Formatter):
    """For machines: an object with `time` (UTC), `level`, `logger`, `message`, the ids, the members of
    `extra["fields"]`, and the traceback as `error`."""

    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.msecs)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{milliseconds:03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = CONTEXT.get()
        if context is not None:
            line.update(context.ids())
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class ClientMistakes(logging.Filter):
    """For `uvicorn.error` and `asyncio`: drops the traceback for a websocket text that is not UTF-8.

    Such a socket is closed with 1007, or dropped if the client's close arrived in the same read (uvicorn then raises).
    Without the filter, a client could fill the disk.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not any(isinstance(found, UnicodeDecodeError) for found in (error, error and error.__context__))


def logging_config(log_format: str, level: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: records of at least `level` to standard error. `log_format` is in FORMATS."""
    formatter = {"line": LineFormatter, "json": JsonFormatter}[log_format]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"client_mistakes": {"()": ClientMistakes}},
        "formatters": {"chosen": {"()": formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # At INFO it logs the whole URL of every websocket, which may contain a token although none is read
            # there; at DEBUG every frame and every header.
            "uvicorn.error": {"level": "WARNING", "filters": ["client_mistakes"]},
            "asyncio": {"filters": ["client_mistakes"]},
            "httpx": {"level": "WARNING"},
        },
    }
