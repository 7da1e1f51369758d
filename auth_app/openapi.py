"""OpenAPI declarations of the account routes."""

from __future__ import annotations

from django.conf import settings

from auth_app.serializers import (
    ApiKeyInput,
    ApiKeyOutput,
    AuditPageOutput,
    AuditQuery,
    LoginInput,
    PasswordInput,
    RegisterInput,
    SessionOutput,
    UserOutput,
)
from core.openapi import INTEGER, NO_CONTENT, STRING, TIME, Operation, Shape, json_response, listed, record

_TOKEN = {**STRING, "description": "Shown this once; only a hash of it is stored."}
_LOGIN = Shape("Login", record({"token": _TOKEN, "expires_at": TIME, "user": UserOutput}))
_NEW_KEY = Shape(
    "NewApiKey",
    record(
        {
            "id": INTEGER,
            "name": STRING,
            "scopes": listed(STRING),
            "created_at": TIME,
            "expires_at": TIME,
            "token": _TOKEN,
        }
    ),
)
_TICKET = Shape("Ticket", record({"ticket": STRING, "expires_in": {"type": "integer", "description": "Seconds."}}))
_TOO_OFTEN = "Too many attempts; `Retry-After` says when to retry."
_BUSY = "The accounts database or Redis does not respond, or too many users are signing in at once."

REGISTER = Operation(
    summary="Make an account",
    description="Codes of a 400: `bad_request`, `username_taken`, `weak_password`.",
    body=RegisterInput,
    example={"username": "alice", "password": "correct-horse-battery", "email": "alice@example.org"},
    responses={201: json_response("The account.", UserOutput)},
    refusals={403: "Registration is closed here (`ALLOW_REGISTRATION`).", 429: _TOO_OFTEN, 503: _BUSY},
)
LOGIN = Operation(
    summary="A token for a username and a password",
    body=LoginInput,
    example={"username": "alice", "password": "correct-horse-battery"},
    responses={200: json_response("A token to send as `Authorization: Bearer <token>`.", _LOGIN)},
    refusals={401: "Wrong username or password, in the same words.", 429: _TOO_OFTEN, 503: _BUSY},
)
LOGOUT = Operation(
    summary="Revoke the presented token",
    description="Its sockets are closed. With a session cookie the session ends.",
    responses={204: NO_CONTENT},
)
ME = Operation(summary="Who am I", responses={200: json_response("The account.", UserOutput)})
PASSWORD = Operation(
    summary="Change the password",
    description="Every other token of the account is revoked. Codes of a 400: `bad_request`, `wrong_password`, "
    "`weak_password`.",
    body=PasswordInput,
    example={"current_password": "correct-horse-battery", "new_password": "battery-horse-correct"},
    responses={204: NO_CONTENT},
    refusals={429: _TOO_OFTEN},
)
TOKENS = Operation(summary="My API keys", responses={200: json_response("Newest first.", listed(ApiKeyOutput))})
TOKEN_CREATE = Operation(
    summary="Make an API key",
    description="With a name, scopes and an expiry; without `expires_at` it is valid for 90 days.",
    body=ApiKeyInput,
    example={"name": "grafana", "scopes": ["read"]},
    responses={201: json_response("The key, with its token.", _NEW_KEY)},
    refusals={429: _TOO_OFTEN},
)
TOKEN_DELETE = Operation(
    summary="Revoke an API key",
    responses={204: NO_CONTENT},
    refusals={404: "You have no such key."},
)
SESSIONS = Operation(
    summary="My logins and browser sessions",
    responses={200: json_response("The valid ones, newest first.", listed(SessionOutput))},
)
SESSIONS_END = Operation(
    summary="End all my other sessions",
    description="Needs no password. API keys stay valid; revoke those one by one.",
    responses={204: NO_CONTENT},
)
SESSION_END = Operation(
    summary="End one of my sessions",
    responses={204: NO_CONTENT},
    refusals={404: "You have no such session."},
)
AUDIT = Operation(
    summary="What happened to my account",
    description="Newest first. `cursor` is the `next_cursor` of the page before.",
    query=AuditQuery,
    responses={200: json_response("A page; `next_cursor` is null on the last one.", AuditPageOutput)},
)
TICKET = Operation(
    summary="A ticket for the live socket",
    description=f"For browsers, which cannot set headers on a websocket: offer the subprotocols `wattstream.v1` and "
    f"`ticket.<ticket>`. It works once, within {settings.TICKET_LIFETIME_S} s.",
    responses={200: json_response("The ticket.", _TICKET)},
    refusals={429: _TOO_OFTEN},
)
