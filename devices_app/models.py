"""Devices, their owners, and who else may see them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from telemetry.names import DEVICE_ID_RULE, is_device_id


def validate_device_id(text: str) -> None:
    if not is_device_id(text):
        raise ValidationError(f"{text!r} is not {DEVICE_ID_RULE}")


class Device(models.Model):
    """A device, known to the telemetry database by `device_id`. Nobody sees one without an owner."""

    device_id = models.CharField(max_length=64, unique=True, validators=[validate_device_id])
    name = models.CharField(max_length=100, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="devices"
    )
    claim_digest = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["device_id"]

    def __str__(self) -> str:
        return self.device_id


class Grant(models.Model):
    """Lets a user who is not the owner see a device, until `expires_at` where that is set."""

    class Role(models.TextChoices):
        VIEWER = "viewer"

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="grants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["device", "user"], name="one_grant_per_user")]
        ordering: ClassVar = ["user__username"]

    def __str__(self) -> str:
        return f"{self.user} sees {self.device}"
