"""What happens to accounts: register, sign in, API keys, disable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from auth_app.audit.denials import login_failed
from auth_app.audit.entries import Event, audit_record
from auth_app.events import AccessChange, announce
from auth_app.limits.attempts import keys_made, login_failures, registrations
from auth_app.limits.counters import attempts_counted, failures_counted
from auth_app.models import AccessToken, User
from auth_app.passwords import hasher_slot, password_hash, password_matches, password_require_good
from auth_app.scopes import KEY_DEFAULT_SCOPES, Scope
from auth_app.selectors import api_keys_of
from auth_app.tokens import token_create, tokens_revoke
from core.errors import BadRequest, Forbidden, NotFound, Unauthorized

API_KEY_DEFAULT_DAYS = 90
API_KEY_MAX_DAYS = 730
API_KEYS_PER_USER = 100
_WRONG = "Wrong username or password."
_TAKEN = "username: this name is taken."


def registration_require_open() -> None:
    """Raises `Forbidden` (code `registration_closed`) where ALLOW_REGISTRATION is off."""
    if not settings.ALLOW_REGISTRATION:
        raise Forbidden("Registration is closed here; ask an administrator.", code="registration_closed")


def user_register(*, username: str, password: str, email: str, address: str) -> User:
    """Raises `BadRequest`, `TooManyAttempts`, `Unavailable`. Ask `registration_require_open` first."""
    attempts_counted(*registrations(username, address))
    user = User(username=username, email=User.objects.normalize_email(email))
    if User.objects.filter(username__iexact=username).exists():
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
    """The user these belong to. Raises `Unauthorized`, `TooManyAttempts`, `Unavailable`.

    Same words and same time whether the name is unknown, the password wrong or the user disabled.
    """
    user = User.objects.filter(username=username).first()
    # Counted while holding the slot: people who sign in at the same time do not use up each other's attempts.
    with hasher_slot(), failures_counted(*login_failures(username, address)):
        is_right = password_matches(user, password)
        if user is None or not is_right:
            login_failed(user, address)
            raise Unauthorized(_WRONG)
    return user


def login_token_create(
    *, user: User, kind: AccessToken.Kind, address: str, expires_at: datetime | None = None
) -> tuple[str, AccessToken]:
    """A token for a user who has just been authenticated. Raises `Unauthorized` if that no longer holds."""
    with transaction.atomic():
        # Checking a password takes a while; it may have been changed (and every token revoked) meanwhile.
        unchanged = User.objects.select_for_update().filter(pk=user.pk, password=user.password, is_active=True)
        if not unchanged.exists():
            raise Unauthorized(_WRONG)
        unchanged.update(last_login=timezone.now())
        audit_record(Event.LOGIN, user=user, address=address, detail=kind)
        return token_create(user=user, kind=kind, expires_at=expires_at)


def user_sign_out(*, token_id: int, address: str) -> None:
    """End one token, and the sockets that came with it. Nothing to do where it has ended already."""
    with transaction.atomic():
        for token in AccessToken.objects.filter(pk=token_id, revoked_at=None).select_related("user"):
            tokens_revoke([token])
            audit_record(Event.LOGOUT, user=token.user, address=address, detail=token.name or token.kind)


def api_key_create(
    *,
    user: User,
    address: str,
    name: str,
    scopes: Iterable[Scope] = KEY_DEFAULT_SCOPES,
    expires_at: datetime | None = None,
) -> tuple[str, AccessToken]:
    """A named key, shown this once; good for API_KEY_DEFAULT_DAYS unless `expires_at` says otherwise.

    Raises `BadRequest`, `TooManyAttempts`.
    """
    attempts_counted(*keys_made(user.pk, address))
    now = timezone.now()
    expires_at = expires_at or now + timedelta(days=API_KEY_DEFAULT_DAYS)
    if not now < expires_at <= now + timedelta(days=API_KEY_MAX_DAYS):
        raise BadRequest(f"expires_at: accepted is a time from now to {API_KEY_MAX_DAYS} days ahead.")
    with transaction.atomic():
        User.objects.select_for_update().filter(pk=user.pk).first()  # one at a time, or the limit below could be passed
        if api_keys_of(user).filter(expires_at__gt=now).count() >= API_KEYS_PER_USER:
            raise BadRequest(
                f"At most {API_KEYS_PER_USER} API keys are accepted; delete one.", code="too_many_api_keys"
            )
        clear, key = token_create(
            user=user, kind=AccessToken.Kind.API_KEY, name=name, scopes=scopes, expires_at=expires_at
        )
        audit_record(Event.KEY_MADE, user=user, address=address, detail=f"{name} ({key.scopes})")
    return clear, key


def api_key_revoke(*, user: User, token_id: int, address: str) -> None:
    """Raises `NotFound`, in the same words for somebody else's key and for none."""
    with transaction.atomic():
        keys = list(api_keys_of(user).filter(pk=token_id))
        if not keys:
            raise NotFound("There is no such API key among yours.")
        tokens_revoke(keys)
        audit_record(Event.KEY_REVOKED, user=user, address=address, detail=keys[0].name)


def user_disable(*, user: User) -> None:
    """Shut a user out: pages, API and open sockets (`User.save` announces it)."""
    user.is_active = False
    user.save(update_fields=["is_active"])


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
