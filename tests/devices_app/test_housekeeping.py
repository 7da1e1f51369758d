"""`manage.py purge_accounts` and the server delete old rows."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.utils import timezone

from auth_app.audit.denials import Denial, tally
from auth_app.housekeeping import TOKENS_KEPT_DAYS, accounts_purge
from auth_app.models import AccessToken, AuditEntry, User
from auth_app.tokens.access_tokens import token_create
from core.housekeeping import CHUNK, Housekeeper, Job
from devices_app import denials
from devices_app.housekeeping import JOBS
from devices_app.models import Grant
from testing.cast import Person, device_share
from testing.stack import Stack, manage
from testing.waiting import wait_until_async


def long_ago() -> datetime:
    """Return a time when a token has just become old enough to delete."""
    return timezone.now() - timedelta(days=TOKENS_KEPT_DAYS, minutes=1)


def not_long_ago() -> datetime:
    """Return a time ten minutes too recent for deletion, so that even a slow test finds the row."""
    return timezone.now() - timedelta(days=TOKENS_KEPT_DAYS) + timedelta(minutes=10)


def token(person: Person, **changes: object) -> AccessToken:
    _, made = token_create(user=person.user, kind=AccessToken.Kind.API_KEY)
    AccessToken.objects.filter(pk=made.pk).update(**changes)
    return made


def entry(person: Person, *, days: float) -> AuditEntry:
    return AuditEntry.objects.create(event="login", user=person.user, time=timezone.now() - timedelta(days=days))


def refusal(user: User | None) -> Denial:
    return Denial("denied", user.pk if user else None, user.username if user else "", detail=secrets.token_hex(8))


def test_the_command_deletes_old_rows(stack: Stack, alice: Person, bob: Person, device: str) -> None:
    old = {token(alice, expires_at=long_ago()).pk, token(alice, revoked_at=long_ago()).pk}
    kept = {token(alice).pk, token(alice, expires_at=not_long_ago()).pk, token(alice, revoked_at=not_long_ago()).pk}
    old_entry = entry(alice, days=settings.AUDIT_RETENTION_DAYS + 0.01)
    kept_entry = entry(alice, days=settings.AUDIT_RETENTION_DAYS - 0.01)
    Session.objects.create(session_key=(key := secrets.token_hex(16)), session_data="", expire_date=long_ago())
    Grant.objects.filter(pk=device_share(device, bob).pk).update(expires_at=long_ago())
    assert manage(stack.env, "purge_accounts").startswith("deleted: ")
    left = set(AccessToken.objects.filter(user=alice.user).values_list("pk", flat=True))
    assert not old & left
    assert kept <= left
    entries = AuditEntry.objects.filter(user=alice.user)
    assert not entries.filter(pk=old_entry.pk).exists()
    assert entries.filter(pk=kept_entry.pk).exists()
    assert not Session.objects.filter(pk=key).exists()
    assert not Grant.objects.filter(user=bob.user).exists()
    assert AuditEntry.objects.filter(user=bob.user, event="share_expired", owner=alice.user).count() == 1


def test_more_than_one_chunk_is_deleted(alice: Person) -> None:
    age = timezone.now() - timedelta(days=settings.AUDIT_RETENTION_DAYS + 1)
    AuditEntry.objects.bulk_create(AuditEntry(event="login", user=alice.user, time=age) for _ in range(CHUNK + 1))
    assert accounts_purge().audit_entries >= CHUNK + 1
    assert not AuditEntry.objects.filter(user=alice.user).exists()


async def test_the_housekeeper_runs_due_jobs(alice: Person) -> None:
    old = await asyncio.to_thread(token, alice, expires_at=long_ago())
    housekeeper = Housekeeper([Job(accounts_purge, first_s=0, every_s=3600)])
    housekeeper.start()

    async def is_gone() -> bool:
        return not await AccessToken.objects.filter(pk=old.pk).aexists()

    await wait_until_async(is_gone, "the token that ended long ago is gone")
    await housekeeper.close()


async def test_the_last_refusals_are_written_at_shutdown(alice: Person) -> None:
    last = refusal(alice.user)
    housekeeper = Housekeeper(JOBS)
    housekeeper.start()
    tally.count(last)
    await housekeeper.close()
    assert await AuditEntry.objects.filter(detail=last.detail, user=alice.user).aexists()


def test_repeated_writes_of_a_refusal_share_one_entry(alice: Person) -> None:
    again = refusal(alice.user)
    for _ in range(3):
        tally.count(again)
        denials.denials_write()
    found = AuditEntry.objects.filter(detail=again.detail)
    assert sum(found.values_list("count", flat=True)) == 3
    assert found.count() <= 2  # two if a minute ended in between


def test_refusals_are_kept_while_the_database_is_unavailable(monkeypatch: pytest.MonkeyPatch, alice: Person) -> None:
    """The test raises the error that a locked or unavailable database raises."""
    kept = refusal(alice.user)
    tally.count(kept)

    def locked(*_: object) -> None:
        raise DatabaseError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(denials, "_write", locked)
        with pytest.raises(DatabaseError):
            denials.denials_write()
    denials.denials_write()
    assert AuditEntry.objects.get(detail=kept.detail).count == 1


def test_refusals_of_a_deleted_user_are_written(bob: Person) -> None:
    orphan = refusal(bob.user)
    tally.count(orphan)
    bob.user.delete()
    denials.denials_write()
    entry = AuditEntry.objects.get(detail=orphan.detail)
    assert (entry.user, entry.username) == (None, orphan.username)
