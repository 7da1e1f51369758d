"""Queries about accounts."""

from __future__ import annotations

from django.db.models import QuerySet

from auth_app.models import AccessToken, User


def api_keys_of(user: User) -> QuerySet[AccessToken]:
    """The user's API keys except revoked ones, newest first. Includes expired ones."""
    return user.access_tokens.filter(kind=AccessToken.Kind.API_KEY, revoked_at=None)


def user_by_name(username: str) -> User | None:
    """The active user of exactly this name."""
    return User.objects.filter(username=username, is_active=True).first()
