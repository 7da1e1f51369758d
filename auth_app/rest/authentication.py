"""How REST framework identifies the user of a request."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from auth_app.credentials import credentials_of_request
from auth_app.identify import identify
from auth_app.identity import Identity
from auth_app.models import User
from core.errors import Forbidden


class IdentityAuthentication(BaseAuthentication):
    """`request.user` is the User, `request.auth` the Identity.

    An invalid bearer token is a 401, even beside a valid session cookie. With a session cookie, unsafe methods need a
    CSRF token. A cookie whose session has ended counts as none.
    """

    def authenticate(self, request: Request) -> tuple[User, Identity] | None:
        credentials = credentials_of_request(request._request)
        identity = identify(credentials)
        user = None if identity is None else User.objects.filter(pk=identity.user_id).first()
        if identity is None or user is None:
            if credentials.bearer is not None:
                raise exceptions.AuthenticationFailed
            return None
        if credentials.bearer is None:
            csrf_require(request._request)
        return user, identity

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def csrf_require(request: HttpRequest) -> None:
    """Raises `Forbidden` (code `csrf`) for an unsafe method without a valid CSRF token."""
    check = CSRFCheck(lambda _: HttpResponse())
    check.process_request(request)
    if check.process_view(request, lambda _: HttpResponse(), (), {}):
        raise Forbidden("The CSRF token is missing or wrong; send it as X-CSRFToken.", code="csrf")
