"""Browser sessions. Each has a separate access token."""

from __future__ import annotations

from django.contrib.auth import login, logout, update_session_auth_hash
from django.http import HttpRequest

from auth_app.credentials import remote_address
from auth_app.identify import SESSION_TOKEN_KEY
from auth_app.models import AccessToken, User
from auth_app.tokens.logins import login_token_create, user_sign_out


def session_open(request: HttpRequest, user: User) -> None:
    """Sign `user` in under a new session key. The clear text of its token is discarded."""
    session_close(request)
    _, token = login_token_create(
        user=user,
        kind=AccessToken.Kind.SESSION,
        address=remote_address(request),
        expires_at=request.session.get_expiry_date(),
    )
    login(request, user)
    request.session[SESSION_TOKEN_KEY] = token.pk


def session_close(request: HttpRequest) -> None:
    """Revoke the token of the session, which closes its sockets, and delete the session."""
    token_id = request.session.get(SESSION_TOKEN_KEY)
    if isinstance(token_id, int):
        user_sign_out(token_id=token_id, address=remote_address(request))
    logout(request)


def session_holds(request: HttpRequest, token_id: int) -> bool:
    """Whether `token_id` is the token of the request's session."""
    return bool(request.session.get(SESSION_TOKEN_KEY) == token_id)


def session_keep(request: HttpRequest, user: User) -> None:
    """Keep the session valid after its user has changed the password."""
    update_session_auth_hash(request, user)
