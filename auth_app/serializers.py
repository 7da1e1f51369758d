"""The shapes of the account routes' bodies and answers. Unknown fields in a body are ignored."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from auth_app.fields import PasswordField, TextField, TimeField

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
    expires_at = TimeField(required=False, allow_null=True, default=None)


class UserOutput(serializers.Serializer[Any]):
    username = TextField()
    email = TextField()
    is_staff = serializers.BooleanField()


class ApiKeyOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = TextField()
    created_at = TimeField()
    expires_at = TimeField()
