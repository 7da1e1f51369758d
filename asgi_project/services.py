"""The services of a server process: started together, closed together in reverse order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

from asgi_project.observability.metrics import publish_forever
from auth_app.housekeeping import JOBS as ACCOUNT_JOBS
from core.accounts_database import accounts_close
from core.housekeeping import Housekeeper
from core.singletons import PerLoop
from core.tasks import Service
from devices_app.housekeeping import JOBS as DEVICE_JOBS
from history_app.store.last_seen import last_seen_close
from history_app.store.pool import pool_close
from live_app.access.guard import guard_of_loop
from live_app.hub import hub_of_loop
from telemetry.tracing import tracing_stop

TRACING_STOP_TIMEOUT_S = 5


def _start() -> AsyncExitStack:
    """Start everything in the running event loop. Closing the stack closes each, even if another one fails to."""
    stack = AsyncExitStack()
    stack.push_async_callback(_tracing_close)
    stack.push_async_callback(asyncio.to_thread, accounts_close)
    stack.push_async_callback(asyncio.to_thread, last_seen_close)
    stack.push_async_callback(pool_close)
    publishing = Service(publish_forever, name="metrics")
    publishing.start()
    stack.push_async_callback(publishing.close)
    housekeeper = Housekeeper((*DEVICE_JOBS, *ACCOUNT_JOBS))
    housekeeper.start()
    stack.push_async_callback(housekeeper.close)
    stack.push_async_callback(hub_of_loop().close)
    stack.push_async_callback(guard_of_loop().close)
    return stack


async def _tracing_close() -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.to_thread(tracing_stop), TRACING_STOP_TIMEOUT_S)


# The first call starts them: lifespan.startup, or the first connection under a server that sends no lifespan.
services_of_loop: PerLoop[AsyncExitStack] = PerLoop(_start)
