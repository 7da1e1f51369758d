"""How every part logs: one line a record, for people or for machines, with the ids of what it was working on."""

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
# What would begin a new line, so that nobody can write lines into the log; a traceback keeps its own.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


@dataclass(slots=True)
class LogContext:
    """What is being worked on: a request or a socket, by the id its client was told; its route; whose it is (user id).

    One object for all tasks and threads of a request, so that what is found out late stands in every later line.
    """

    request: str | None = None
    socket: str | None = None
    route: str | None = None
    user: int | None = None
    closed: int | None = None  # of a socket: the code that its client closed it with

    def ids(self) -> dict[str, str | int]:
        """What is known, by name."""
        named = (("request", self.request), ("socket", self.socket), ("route", self.route), ("user", self.user))
        return {name: value for name, value in named if value is not None}


CONTEXT: ContextVar[LogContext | None] = ContextVar("wattstream_log_context", default=None)


def note_route(route: str) -> None:
    """Say which route the current request or socket takes: its pattern, never the path."""
    context = CONTEXT.get()
    if context is not None:
        context.route = route


def note_user(user_id: int) -> None:
    """Say whose the current request or socket is."""
    context = CONTEXT.get()
    if context is not None:
        context.user = user_id


def note_closed(code: int) -> None:
    """Say with which code the current socket was closed."""
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
    """For machines: an object with `time` (UTC), `level`, `logger`, `message`, the ids, and what `extra` named
    `fields` adds; `error` holds the traceback."""

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
    """For `uvicorn.error` and `asyncio`: drops the page of traceback for each websocket text that is not UTF-8.

    Such a socket is closed with 1007, or just dropped where the client's close came in the same read (uvicorn then
    fails over it). Whoever sends it could fill a disk otherwise.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not any(isinstance(found, UnicodeDecodeError) for found in (error, error and error.__context__))


def logging_config(log_format: str, level: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything from `level` on to standard error. `log_format`: of FORMATS."""
    formatter = {"line": LineFormatter, "json": JsonFormatter}[log_format]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"client_mistakes": {"()": ClientMistakes}},
        "formatters": {"chosen": {"()": formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # At INFO it logs the whole URL of every websocket, and somebody will put a token there although none is
            # read; at DEBUG every frame and every header.
            "uvicorn.error": {"level": "WARNING", "filters": ["client_mistakes"]},
            "asyncio": {"filters": ["client_mistakes"]},
            "httpx": {"level": "WARNING"},
        },
    }
