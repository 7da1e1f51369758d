"""Django's sessions in the accounts database, under a digest of their key: a reader of the table cannot use them.

SESSION_ENGINE names this module. A key has 165 random bits, so a plain hash is enough (no dictionary to try).
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db.models import QuerySet
from django.utils import timezone

STORED_LENGTH = 40  # the length of Django's column


class SessionStore(DatabaseSessionStore):
    """The key in the cookie never reaches the database."""

    def exists(self, session_key: str) -> bool:
        return super().exists(stored_key(session_key))

    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(stored_key(session_key))

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(stored_key(key))

    async def adelete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            await super().adelete(stored_key(key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return _hidden(super().create_model_instance(data))

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return _hidden(await super().acreate_model_instance(data))

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        found = self._rows().first()
        if found is None:
            self._session_key = None
        return found

    async def _aget_session_from_db(self) -> AbstractBaseSession | None:
        found = await self._rows().afirst()
        if found is None:
            self._session_key = None
        return found

    def _rows(self) -> QuerySet[AbstractBaseSession]:
        key = stored_key(self.session_key or "")
        rows: QuerySet[AbstractBaseSession] = self.model.objects.filter(session_key=key, expire_date__gt=timezone.now())
        return rows


def stored_key(session_key: str) -> str:
    """The digest that the table stores instead of a session key."""
    return hashlib.sha256(session_key.encode(errors="replace")).hexdigest()[:STORED_LENGTH]


def _hidden(row: AbstractBaseSession) -> AbstractBaseSession:
    row.session_key = stored_key(row.session_key)
    return row
