"""Request and response bodies of the device routes. Unknown fields in a request are ignored."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from auth_app.rest.fields import TextField, TimeField
from devices_app.models import Grant
from telemetry.names import DEVICE_ID, DEVICE_ID_RULE


class ClaimInput(serializers.Serializer[Any]):
    device_id = TextField(validators=[RegexValidator(rf"^{DEVICE_ID.pattern}\Z", f"Accepted are {DEVICE_ID_RULE}.")])
    claim_code = TextField(max_length=64)


class DeviceInput(serializers.Serializer[Any]):
    name = TextField(max_length=100, allow_blank=True, required=False)
    timezone = TextField(max_length=64, required=False)


class ShareInput(serializers.Serializer[Any]):
    username = TextField(max_length=150)
    role = serializers.ChoiceField(choices=Grant.Role.choices, default=Grant.Role.VIEWER)
    expires_at = TimeField(required=False, allow_null=True, default=None)


class TransferInput(serializers.Serializer[Any]):
    username = TextField(max_length=150)
    with_history = serializers.BooleanField(default=False)


class TransferOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    device_id = TextField()
    owner = TextField()
    username = TextField()
    with_history = serializers.BooleanField()
    created_at = TimeField()
    incoming = serializers.BooleanField()


class DeviceOutput(serializers.Serializer[Any]):
    device_id = TextField()
    name = TextField()
    role = TextField()
    online = serializers.BooleanField()
    last_seen = TimeField(allow_null=True)
    timezone = TextField()
    owner = TextField()
    expires_at = TimeField(allow_null=True)


class ShareOutput(serializers.Serializer[Any]):
    username = TextField(source="user.username")
    role = TextField()
    expires_at = TimeField(allow_null=True)
    created_at = TimeField()
