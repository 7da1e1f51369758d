"""Raw history over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from wattstream_client.errors import Forbidden, NotAuthenticated, RequestRefused, TooLarge, Unreachable
from wattstream_client.events import Reading
from wattstream_client.times import iso_from_us

MS_US = 1000


@dataclass(frozen=True, slots=True)
class History:
    """`readings`: oldest first. `cursor`: of the newest stored reading, for `follow`; None if nothing is stored."""

    device_id: str
    readings: list[Reading]
    cursor: str | None


async def history_get(http: httpx.AsyncClient, device_id: str, parameters: dict[str, str]) -> History:
    """Request raw readings. Their times are truncated to milliseconds. Raises `WattstreamError`."""
    try:
        answer = await http.get(f"/api/history/{device_id}", params={"resolution": "raw", "agg": "avg", **parameters})
    except httpx.HTTPError as error:
        raise Unreachable(f"no response to a history request: {error!r}") from error
    _raise_for(answer)
    document = answer.json()
    return History(device_id, _readings(document), document["cursor"])


def _readings(document: dict[str, Any]) -> list[Reading]:
    columns = {name: metric["avg"] for name, metric in document["metrics"].items()}
    return [
        Reading(
            document["device_id"],
            iso_from_us(ms * MS_US),
            ms * MS_US,
            {name: column[index] for name, column in columns.items()},
        )
        for index, ms in enumerate(document["time"])
    ]


def _raise_for(answer: httpx.Response) -> None:
    if answer.status_code == httpx.codes.OK:
        return
    said = f"{answer.status_code}: {answer.text[:300]}"
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise NotAuthenticated(said)
    if answer.status_code == httpx.codes.FORBIDDEN:
        raise Forbidden(said)
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unreachable(said)
    raise TooLarge(said) if answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE else RequestRefused(said)
