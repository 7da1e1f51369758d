"""Account routes, mounted at /api/auth/."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from auth_app import openapi, services
from auth_app.audit.entries import audit_of_user
from auth_app.models import AccessToken
from auth_app.rest.fields import iso_ms
from auth_app.rest.view import ApiView, PublicApiView
from auth_app.scopes import TokenScope
from auth_app.selectors import api_keys_of, sessions_of
from auth_app.serializers import ApiKeyOutput, AuditPageOutput, SessionOutput, UserOutput
from auth_app.services import password_change
from auth_app.sessions import browser
from auth_app.tokens import api_keys, logins
from auth_app.tokens.tickets import ticket_issue
from core.openapi import described


class RegisterView(PublicApiView):
    @described(openapi.REGISTER)
    def post(self, request: Request) -> Response:
        services.registration_require_open()
        user = services.user_register(**self.body(), address=self.address)
        return Response(UserOutput(user).data, status=201)


class LoginView(PublicApiView):
    @described(openapi.LOGIN)
    def post(self, request: Request) -> Response:
        user = services.user_authenticate(**self.body(), address=self.address)
        clear, token = logins.login_token_create(user=user, kind=AccessToken.Kind.LOGIN, address=self.address)
        return Response({"token": clear, "expires_at": iso_ms(token.expires_at), "user": UserOutput(user).data})


class LogoutView(ApiView):
    """Revokes the presented token; with a session cookie the session goes too."""

    writing = None

    @described(openapi.LOGOUT)
    def post(self, request: Request) -> Response:
        if browser.session_holds(request._request, self.identity.token_id):
            browser.session_close(request._request)
        else:
            logins.user_sign_out(token_id=self.identity.token_id, address=self.address)
        return Response(status=204)


class MeView(ApiView):
    @described(openapi.ME)
    def get(self, request: Request) -> Response:
        return Response(UserOutput(self.user).data)


class PasswordView(ApiView):
    """A wrong `current_password` is a 400 with the code `wrong_password`."""

    writing = TokenScope.ACCOUNT

    @described(openapi.PASSWORD)
    def post(self, request: Request) -> Response:
        password_change(user=self.user, keep=self.identity.token_id, address=self.address, **self.body())
        if browser.session_holds(request._request, self.identity.token_id):
            browser.session_keep(request._request, self.user)
        return Response(status=204)


class ApiKeysView(ApiView):
    writing = TokenScope.ACCOUNT

    @described(openapi.TOKENS)
    def get(self, request: Request) -> Response:
        return Response(ApiKeyOutput(api_keys_of(self.user), many=True).data)

    @described(openapi.TOKEN_CREATE)
    def post(self, request: Request) -> Response:
        fields: dict[str, Any] = self.body()
        clear, key = api_keys.api_key_create(user=self.user, address=self.address, **fields)
        return Response({**ApiKeyOutput(key).data, "token": clear}, status=201)


class ApiKeyView(ApiView):
    writing = TokenScope.ACCOUNT

    @described(openapi.TOKEN_DELETE)
    def delete(self, request: Request, token_id: int) -> Response:
        api_keys.api_key_revoke(user=self.user, token_id=token_id, address=self.address)
        return Response(status=204)


class SessionsView(ApiView):
    reading = TokenScope.ACCOUNT
    writing = TokenScope.ACCOUNT

    @described(openapi.SESSIONS)
    def get(self, request: Request) -> Response:
        rows = [
            {"id": token.pk, "kind": token.kind, "created_at": token.created_at, "expires_at": token.expires_at,
             "current": token.pk == self.identity.token_id}
            for token in sessions_of(self.user)
        ]  # fmt: skip
        return Response(SessionOutput(rows, many=True).data)

    @described(openapi.SESSIONS_END)
    def delete(self, request: Request) -> Response:
        logins.sessions_end_others(user=self.user, keep=self.identity.token_id, address=self.address)
        return Response(status=204)


class SessionView(ApiView):
    writing = TokenScope.ACCOUNT

    @described(openapi.SESSION_END)
    def delete(self, request: Request, session_id: int) -> Response:
        logins.session_end(user=self.user, token_id=session_id, address=self.address)
        return Response(status=204)


class TicketView(ApiView):
    writing = TokenScope.LIVE

    @described(openapi.TICKET)
    def post(self, request: Request) -> Response:
        ticket = ticket_issue(self.identity, address=self.address)
        return Response({"ticket": ticket, "expires_in": settings.TICKET_LIFETIME_S})


class AuditView(ApiView):
    reading = TokenScope.ACCOUNT

    @described(openapi.AUDIT)
    def get(self, request: Request) -> Response:
        return Response(AuditPageOutput(audit_of_user(self.user, **self.question())).data)
