"""The log of access changes, and its reader."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from auth_app import access_changes
from auth_app.access_changes import KEPT_S, ChangeReader, RecordedChange, change_record, changes_purge
from auth_app.events import AccessChange, announce, apply_recorded, hear, listen
from auth_app.services import user_disable
from testing.cast import Person

pytestmark = pytest.mark.usefixtures("stack")


def reader() -> ChangeReader:
    started = ChangeReader()
    assert started.read() is None, "the first read cannot tell what changed before"
    return started


def mine(read: dict[int, str] | object, *changes: str) -> list[str]:
    """Return the changes of this test: other processes record changes too."""
    assert isinstance(read, dict)
    return [change for change in read.values() if change in changes]


def test_each_change_is_read_once() -> None:
    started = reader()
    change_record("one")
    change_record("two")
    assert mine(started.read(), "one", "two") == ["one", "two"]
    assert mine(started.read(), "one", "two") == []


def test_a_change_that_commits_after_a_later_one_is_read() -> None:
    started = reader()
    early = change_record("early")
    change_record("late")
    RecordedChange.objects.filter(pk=early).delete()  # the view of a reader before the commit
    assert mine(started.read(), "early", "late") == ["late"]
    RecordedChange.objects.create(pk=early, change="early")
    assert mine(started.read(), "early", "late") == ["early"]
    assert mine(started.read(), "early", "late") == []


def test_a_change_that_was_uncommitted_when_the_reader_started_is_read() -> None:
    early = change_record("early")
    change_record("late")
    RecordedChange.objects.filter(pk=early).delete()
    started = reader()
    RecordedChange.objects.create(pk=early, change="early")
    assert mine(started.read(), "early", "late") == ["early"]


def test_the_reader_does_not_wait_for_a_rolled_back_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_changes, "OPEN_TRANSACTION_S", -1.0)
    started = reader()
    gone, kept = change_record("gone"), change_record("kept")
    RecordedChange.objects.filter(pk=gone).delete()
    assert mine(started.read(), "kept") == ["kept"]
    assert started._after >= kept


def test_too_many_changes_at_once_report_that_anything_may_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access_changes, "OVERLAP", 0)
    monkeypatch.setattr(access_changes, "READ_AT_ONCE", 3)
    started = reader()
    for number in range(4):
        change_record(f"change {number}")
    assert started.read() is None
    change_record("next")
    assert mine(started.read(), "next") == ["next"]


def test_old_changes_are_deleted() -> None:
    old, young = change_record("old"), change_record("young")
    RecordedChange.objects.filter(pk=old).update(time=timezone.now() - timedelta(seconds=KEPT_S + 1))
    changes_purge()
    assert not RecordedChange.objects.filter(pk=old).exists()
    assert RecordedChange.objects.filter(pk=young).exists()


def test_a_change_is_recorded_in_its_own_transaction(alice: Person) -> None:
    newest = change_record("before")
    with transaction.atomic():
        user_disable(user=alice.user)
        transaction.set_rollback(True)
    alice.user.refresh_from_db()
    recorded = RecordedChange.objects.filter(pk__gt=newest, change__contains=f'"users":[{alice.user.pk}]')
    assert not recorded.exists()
    user_disable(user=alice.user)
    assert recorded.exists()
    with pytest.raises(transaction.TransactionManagementError):
        announce(AccessChange(users=(alice.user.pk,)))


def test_an_event_and_its_record_are_applied_once() -> None:
    heard: list[AccessChange] = []
    listen(heard.append)
    fields = '"users":[7],"devices":[],"tokens":[]'
    pk = change_record("{" + fields + "}")
    hear("{" + f'"id":{pk},' + fields + "}")
    apply_recorded(pk, "{" + fields + "}")
    assert heard == [AccessChange(users=(7,))]
