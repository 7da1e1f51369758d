"""Queries about accounts."""

from __future__ import annotations

from django.db.models import QuerySet, Value
from django.db.models.functions import Lower
from django.utils import timezone

from auth_app.models import AccessToken, User


def api_keys_of(user: User) -> QuerySet[AccessToken]:
    """The user's API keys except revoked ones, newest first. Includes expired ones."""
    return user.access_tokens.filter(kind=AccessToken.Kind.API_KEY, revoked_at=None)


def sessions_of(user: User) -> QuerySet[AccessToken]:
    """The user's valid logins and browser sessions, newest first."""
    kinds = [AccessToken.Kind.LOGIN, AccessToken.Kind.SESSION]
    return user.access_tokens.filter(kind__in=kinds, revoked_at=None, expires_at__gt=timezone.now())


def users_named(username: str) -> QuerySet[User]:
    """The user of this name without regard to case, as the unique index compares: none or one."""
    return User.objects.alias(lower=Lower("username")).filter(lower=Lower(Value(username)))


def user_by_name(username: str) -> User | None:
    """The active user of this name, without regard to case."""
    return users_named(username).filter(is_active=True).first()
