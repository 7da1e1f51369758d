"""The base of every cold JSON route: a view with typed access to user, identity and body."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
from django.http import HttpRequest
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from auth_app.audit.denials import problem_denied
from auth_app.credentials import remote_address
from auth_app.identity import Identity
from auth_app.models import User
from auth_app.scopes import TokenScope
from core.bounded import depth_is_bounded
from core.errors import BadRequest, Problem, TooLarge
from core.openapi import Operation, operation_of

BODY_MAX_BYTES = 64 * 1024
BODY_MAX_DEPTH = 8
_TYPE = "Content-Type: accepted is application/json."


class JsonAlways(BaseContentNegotiation):
    """Every response is JSON, whatever Accept or ?format= say."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """For authenticated users. Responses are never cached.

    `reading` and `writing`: the scope that an API key needs for safe methods and for others. None: any key is accepted.
    """

    is_public: ClassVar[bool] = False
    reading: ClassVar[TokenScope | None] = TokenScope.READ
    writing: ClassVar[TokenScope | None] = TokenScope.MANAGE

    content_negotiation_class = JsonAlways
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {"Cache-Control": "no-store"}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if isinstance(request.auth, Identity):
            self._known = request.auth
            request.auth.require(self.reading if request.method in SAFE_METHODS else self.writing)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Problem):
            what = str(self.request.resolver_match.url_name if self.request.resolver_match else "")
            problem_denied(exc, identity=self._known, what=what, address=self.address)
        return super().handle_exception(exc)

    _known: Identity | None = None  # set once the request is authenticated

    @property
    def address(self) -> str:
        return remote_address(self.request._request)

    @property
    def user(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user

    @property
    def identity(self) -> Identity:
        assert isinstance(self.request.auth, Identity)
        return self.request.auth

    def question(self) -> dict[str, Any]:
        """The parameters of the request, validated by the serializer that the operation declares.

        Raises `BadRequest` naming the parameter.
        """
        return _checked(self._operation.query, self.request.query_params.dict())

    def body(self) -> dict[str, Any]:
        """The JSON body of the request, validated likewise. Raises `BadRequest` naming the field, `TooLarge`."""
        return _checked(self._operation.body, read_json(self.request._request))

    @property
    def _operation(self) -> Operation:
        operation = operation_of(getattr(self, str(self.request.method).lower()))
        assert operation is not None, f"{self.request.method} of {type(self).__name__} is not described"
        return operation


class PublicApiView(ApiView):
    """A route that needs no credentials and ignores those that a request carries."""

    is_public = True
    authentication_classes = []
    permission_classes = [AllowAny]


def _checked(shape: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    checked = shape(data=data)
    checked.is_valid(raise_exception=True)
    fields: dict[str, Any] = checked.validated_data
    return fields


def read_json(request: HttpRequest) -> object:
    """Parse the body: UTF-8 JSON of at most BODY_MAX_BYTES; `{}` if it is empty. Raises `BadRequest`, `TooLarge`."""
    # Check the type first: the search for a CSRF token may have read a multipart body already.
    has_type = bool(request.content_type)
    if has_type and request.content_type != "application/json":
        raise BadRequest(_TYPE)
    body = request.body
    if not body:
        return {}
    if not has_type:
        raise BadRequest(_TYPE)
    if len(body) > BODY_MAX_BYTES:
        raise TooLarge(f"body: at most {BODY_MAX_BYTES} bytes are accepted.")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"body: not JSON ({error}).") from error
    if not depth_is_bounded(parsed, BODY_MAX_DEPTH):
        raise BadRequest(f"body: at most {BODY_MAX_DEPTH} levels of nesting are accepted.")
    return parsed
