"""The application: routes, errors, and the service that is opened and closed with it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypedDict

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from telemetry.catalogue import catalogue_load
from telemetry.ingest_api import SECURITY_SCHEMES, ingest_schemas
from writer.http import ingest, sockets, status
from writer.http.problems import ProblemError, http_error_response, problem_response
from writer.service import RunningWriter, service_running


class State(TypedDict):
    """What every request finds in `request.state`."""

    service: RunningWriter


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
    """Open the service before the first request and close it after the last."""
    async with service_running(os.environ) as service:
        yield {"service": service}


class Writer(FastAPI):
    """FastAPI whose document has the schemas of the catalogue: a body is validated value by value, without a model."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            components = super().openapi().setdefault("components", {})
            components.setdefault("schemas", {}).update(ingest_schemas(catalogue_load()))
            components.setdefault("securitySchemes", {}).update(SECURITY_SCHEMES)
        return super().openapi()


app = Writer(title="wattstream writer", lifespan=lifespan, docs_url=None, redoc_url=None)
app.include_router(ingest.router)
app.include_router(sockets.router)
app.include_router(status.router)
app.add_exception_handler(ProblemError, problem_response)
app.add_exception_handler(HTTPException, http_error_response)
