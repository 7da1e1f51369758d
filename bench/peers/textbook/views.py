"""The view: authenticate, check ownership, aggregate, answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from auth_app.models import AccessToken
from core.catalogue import CATALOGUE
from devices_app.models import Device

_pool: AsyncConnectionPool | None = None
_BUCKETS = {
    "10m": ("1 second", 600),
    "24h": ("5 minutes", 86_400),
    "30d": ("1 hour", 2_592_000),
    "1y": ("1 day", 31_536_000),
}
_AVERAGES = ", ".join(f"avg({name})" for name in CATALOGUE.names)


async def pool() -> AsyncConnectionPool:
    global _pool
    if _pool is None:
        _pool = AsyncConnectionPool(settings.TELEMETRY_URL, min_size=1, max_size=8, open=False)
        await _pool.open()
    return _pool


async def history(request: HttpRequest, device_id: str) -> JsonResponse:
    """GET /history/{device_id}?range=10m|24h|30d|1y"""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    found = (
        await AccessToken.objects.select_related("user")
        .filter(digest=sha256(token.encode()).hexdigest(), revoked_at=None, expires_at__gt=datetime.now(UTC))
        .afirst()
    )
    if found is None:
        return JsonResponse({"detail": "unauthorized"}, status=401)
    mine = Device.objects.filter(Q(owner=found.user) | Q(grants__user=found.user), device_id=device_id)
    if not await mine.aexists():
        return JsonResponse({"detail": "forbidden"}, status=403)
    bucket, seconds = _BUCKETS[request.GET.get("range", "24h")]
    statement = (
        f"SELECT time_bucket(%s::interval, time) AS bucket, count(*), {_AVERAGES} FROM energy_data"
        " WHERE device_id = %s AND time >= %s AND time < %s GROUP BY bucket ORDER BY bucket"
    )
    end = datetime.now(UTC)
    async with (await pool()).connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(statement, [bucket, device_id, end - timedelta(seconds=seconds), end])
        rows = await cursor.fetchall()
    columns = list(zip(*rows, strict=True)) or [()] * (2 + len(CATALOGUE.names))
    metrics = {name: list(column) for name, column in zip(CATALOGUE.names, columns[2:], strict=True)}
    return JsonResponse(
        {
            "device_id": device_id,
            "time": [moment.isoformat() for moment in columns[0]],
            "count": columns[1],
            "metrics": metrics,
        }
    )
