"""Rolls up in tests."""

from __future__ import annotations

import asyncio

from core.catalogue import CATALOGUE
from rollup.engine import Engine
from testing.stack import Stack


def roll_up(stack: Stack) -> None:
    """Rebuild everything that is due now. Not from inside an event loop."""
    asyncio.run(roll_up_async(stack))


async def roll_up_async(stack: Stack) -> None:
    """`roll_up` inside an event loop."""
    engine = Engine(CATALOGUE, settle_s=0, statement_timeout_s=60)
    connection = await engine.connect(stack.env["TELEMETRY_ADMIN_URL"])
    try:
        while await engine.round(connection):
            pass
    finally:
        await connection.close()
