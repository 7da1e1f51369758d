"""The application: routes, errors, and the service that is opened and closed with it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from writer.http import ingest, sockets, status
from writer.http.problems import ProblemError, http_error_response, problem_response
from writer.service import Service, service_running


class State(TypedDict):
    """What every request finds in `request.state`."""

    service: Service


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
    """Open the service before the first request and close it after the last."""
    async with service_running(os.environ) as service:
        yield {"service": service}


app = FastAPI(title="wattstream writer", lifespan=lifespan, openapi_url=None)
app.include_router(ingest.router)
app.include_router(sockets.router)
app.include_router(status.router)
app.add_exception_handler(ProblemError, problem_response)
app.add_exception_handler(HTTPException, http_error_response)
