"""Request and response bodies of the account routes. Unknown fields in a request are ignored."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from auth_app.rest.fields import PasswordField, TextField, TimeField
from auth_app.scopes import KEY_DEFAULT_SCOPES, KEY_SCOPES

AUDIT_PAGE = 50
AUDIT_PAGE_MAX = 200
USERNAME = r"^[A-Za-z0-9][A-Za-z0-9_.@+-]*\Z"
USERNAME_RULE = "Accepted are 1 to 150 of A-Z a-z 0-9 _ . @ + -, beginning with a letter or digit."


class RegisterInput(serializers.Serializer[Any]):
    username = TextField(max_length=150, validators=[RegexValidator(USERNAME, USERNAME_RULE)])
    password = PasswordField()
    email = serializers.EmailField(max_length=254, allow_blank=True, default="")


class LoginInput(serializers.Serializer[Any]):
    username = TextField(max_length=150)
    password = PasswordField()


class PasswordInput(serializers.Serializer[Any]):
    current_password = PasswordField()
    new_password = PasswordField()


class ApiKeyInput(serializers.Serializer[Any]):
    name = TextField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(
            choices=KEY_SCOPES, error_messages={"invalid_choice": f"Accepted are {', '.join(KEY_SCOPES)}."}
        ),
        allow_empty=False,
        default=lambda: list(KEY_DEFAULT_SCOPES),
    )
    expires_at = TimeField(required=False, allow_null=True, default=None)


class AuditQuery(serializers.Serializer[Any]):
    """`cursor`: the `next_cursor` of the previous page."""

    limit = serializers.IntegerField(min_value=1, max_value=AUDIT_PAGE_MAX, default=AUDIT_PAGE)
    cursor = serializers.IntegerField(min_value=1, max_value=2**63 - 1, default=None)


class UserOutput(serializers.Serializer[Any]):
    username = TextField()
    email = TextField()
    is_staff = serializers.BooleanField()


class ApiKeyOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = TextField()
    scopes = serializers.ListField(child=TextField(), source="scope_names")
    created_at = TimeField()
    expires_at = TimeField()


class SessionOutput(serializers.Serializer[Any]):
    """`kind`: `login` (a token) or `session` (a browser). `current`: the one that sends the request."""

    id = serializers.IntegerField()
    kind = TextField()
    created_at = TimeField()
    expires_at = TimeField()
    current = serializers.BooleanField()


class AuditEntryOutput(serializers.Serializer[Any]):
    """`user`, `device_id` and `address` are empty if unknown."""

    id = serializers.IntegerField()
    time = TimeField()
    event = TextField()
    user = TextField(source="username")
    device_id = TextField()
    detail = TextField()
    address = TextField()
    count = serializers.IntegerField()


class AuditPageOutput(serializers.Serializer[Any]):
    entries = AuditEntryOutput(many=True)
    next_cursor = serializers.IntegerField(allow_null=True)
