"""The user of a browser session, for pages and the admin."""

from __future__ import annotations

from functools import partial

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from auth_app.credentials import is_session_key
from auth_app.identify import identity_of_session
from auth_app.models import User


class SessionTokenMiddleware(AuthenticationMiddleware):
    """A session is authenticated only while its access token is valid, so revoking the token ends the session."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        if request.session.session_key and not is_session_key(request.session.session_key):
            request.session = type(request.session)()
        request.user = SimpleLazyObject(partial(session_user, request))  # type: ignore[assignment]
        request.auser = partial(sync_to_async(session_user), request)


def session_user(request: HttpRequest) -> User | AnonymousUser:
    """The user of the request's session while its token is valid, else AnonymousUser."""
    user = get_user(request)
    if isinstance(user, User):
        identity = identity_of_session(request.session)
        if identity is not None and identity.user_id == user.pk:
            return user
    return AnonymousUser()
