"""Accounts: register, check a password, change it, disable, delete."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import IntegrityError, transaction

from auth_app.audit.denials import login_failed
from auth_app.audit.entries import Event, audit_record
from auth_app.events import AccessChange, announce
from auth_app.limits.attempts import login_failures, password_failures, registrations
from auth_app.limits.counters import attempts_counted, failures_counted
from auth_app.models import User
from auth_app.passwords import hasher_slot, password_hash, password_matches, password_require_good
from auth_app.selectors import users_named
from auth_app.tokens.access_tokens import tokens_revoke_others
from auth_app.tokens.logins import WRONG_LOGIN
from core.errors import BadRequest, Forbidden, Unauthorized

_TAKEN = "username: this name is taken."
RESERVED_NAMES = frozenset({"me"})  # /api/devices/{device_id}/shares/me


def registration_require_open() -> None:
    """Raises `Forbidden` (code `registration_closed`) if ALLOW_REGISTRATION is off."""
    if not settings.ALLOW_REGISTRATION:
        raise Forbidden("Registration is closed; ask an administrator for an account.", code="registration_closed")


def user_register(*, username: str, password: str, email: str, address: str) -> User:
    """Create an account. Call `registration_require_open` first.

    Raises `BadRequest` (code `username_taken`, `weak_password`), `TooManyAttempts`, `Unavailable`.
    """
    attempts_counted(*registrations(username, address))
    user = User(username=username, email=User.objects.normalize_email(email))
    if username.casefold() in RESERVED_NAMES or users_named(username).exists():
        raise BadRequest(_TAKEN, code="username_taken")
    password_require_good(password, user=user, field="password")
    user.password = password_hash(password)
    try:
        with transaction.atomic():
            user.save()
            audit_record(Event.REGISTERED, user=user, address=address)
    except IntegrityError as error:
        raise BadRequest(_TAKEN, code="username_taken") from error
    return user


def user_authenticate(*, username: str, password: str, address: str) -> User:
    """The user with this name and password. Raises `Unauthorized`, `TooManyAttempts`, `Unavailable`.

    The error and the time are the same for an unknown name, a wrong password and a disabled user.
    """
    user = users_named(username).first()
    # Count inside the slot, so that simultaneous logins do not use up each other's attempts.
    with hasher_slot(), failures_counted(*login_failures(username, address)):
        is_right = password_matches(user, password)
        if user is None or not is_right:
            login_failed(user, address)
            raise Unauthorized(WRONG_LOGIN)
    return user


def user_disable(*, user: User) -> None:
    """End a user's access to pages, API and open sockets (`User.save` announces it)."""
    user.is_active = False
    user.save(update_fields=["is_active"])


def password_change(*, user: User, current_password: str, new_password: str, keep: int, address: str) -> None:
    """Set a new password and revoke every token of the user but the one with the id `keep`.

    Raises `BadRequest` (code `wrong_password`, `weak_password`), `TooManyAttempts`, `Unavailable`.

    Wrong current passwords are limited: a stolen token must not allow guessing. They do not count as failed logins:
    otherwise a stranger who fails to sign in as the user could keep them from changing their password.
    """
    with hasher_slot(), failures_counted(*password_failures(user.pk, address)):
        if not password_matches(user, current_password):
            raise BadRequest("current_password: wrong password.", code="wrong_password")
    password_require_good(new_password, user=user, field="new_password")
    user.password = password_hash(new_password)
    with transaction.atomic():
        # Not by save(), which would revoke the kept token too.
        User.objects.filter(pk=user.pk).update(password=user.password)
        tokens_revoke_others(user=user, keep=keep)
        audit_record(Event.PASSWORD_CHANGED, user=user, address=address)


_before_deletion: list[Callable[[User], object]] = []


def before_user_deletion(work: Callable[[User], object]) -> None:
    """Call `work` in the transaction that deletes a user, before it does: for apps that store something per user."""
    _before_deletion.append(work)


def user_delete(*, user: User) -> None:
    """Delete a user, and announce that their access has ended."""
    with transaction.atomic():
        for work in _before_deletion:
            work(user)
        announce(AccessChange(users=(user.pk,)))
        user.delete()
