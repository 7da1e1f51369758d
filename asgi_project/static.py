"""Static files over ASGI, from STATIC_ROOT."""

from __future__ import annotations

from os import PathLike, stat_result

from django.conf import settings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class RevalidatedFiles(StaticFiles):
    """Browsers keep these files but revalidate them each time, so that no page mixes modules of two releases."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


def static_application() -> Starlette:
    files = RevalidatedFiles(directory=settings.STATIC_ROOT, check_dir=False)
    mount = Mount(settings.STATIC_URL.rstrip("/"), files)
    return Starlette(routes=[mount], middleware=[Middleware(GZipMiddleware, compresslevel=6)])
