"""Queries of the accounts database from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import connection

from core.errors import DATABASE_AWAY, database_away

Ts = TypeVarTuple("Ts")
T = TypeVar("T")
# Several threads: with one for all, Channels' default, a query that does not return would block all others.
_threads = ThreadPoolExecutor(settings.ACCOUNTS_POOL_SIZE, thread_name_prefix="accounts")


async def accounts_ask(question: Callable[[*Ts], T], *parameters: *Ts) -> T:
    """Run `question` in a thread and return its result. Raises `Unavailable` after ACCOUNTS_TIMEOUT_MS."""
    run = database_sync_to_async(_answer, thread_sensitive=False, executor=_threads)
    try:
        async with asyncio.timeout(settings.ACCOUNTS_TIMEOUT_MS / 1000):
            answer: T = await run(question, *parameters)
            return answer
    except (*DATABASE_AWAY, TimeoutError) as error:
        raise database_away(error) from error


def _answer(question: Callable[[*Ts], T], *parameters: *Ts) -> T:
    """Run in one of `_threads`. Keeps a connection to SQLite open: opening one takes longer than most queries."""
    try:
        return question(*parameters)
    finally:
        if connection.vendor == "sqlite":
            connection.close_at = None
