"""Devices, their owners, and grants to other users."""

from __future__ import annotations

from typing import ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.timezone import now

from telemetry.names import DEVICE_ID_RULE, is_device_id

# /api/devices/claim, /api/history/query, and path segments that URLs resolve away.
RESERVED_IDS = frozenset({"claim", "query", ".", ".."})


def validate_device_id(text: str) -> None:
    if not is_device_id(text):
        raise ValidationError(f"{text!r} is not {DEVICE_ID_RULE}")
    if text in RESERVED_IDS:
        raise ValidationError(f"{text!r} is a route of the API")


class Device(models.Model):
    """A device. The telemetry database knows it by `device_id`. A device without an owner is visible to nobody."""

    device_id = models.CharField(max_length=64, unique=True, validators=[validate_device_id])
    name = models.CharField(max_length=100, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="devices"
    )
    # The owner and the viewers see readings from this moment on; None: all. Earlier ones belong to a former owner.
    visible_from = models.DateTimeField(null=True, blank=True)
    claim_digest = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["device_id"]

    def __str__(self) -> str:
        return self.device_id


class GrantQuerySet(models.QuerySet["Grant"]):
    """Grants, with the only rule for which of them are active."""

    def active(self) -> Self:
        """Not expired, and on a device that has an owner."""
        moment = now()
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=moment), device__owner__isnull=False)


class Grant(models.Model):
    """Lets a user who is not the owner see a device, until `expires_at` if that is set."""

    class Role(models.TextChoices):
        VIEWER = "viewer"

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="grants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    objects = GrantQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["device", "user"], name="one_grant_per_user")]
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="grant_by_expiry")]
        ordering: ClassVar = ["user__username"]

    def __str__(self) -> str:
        return f"{self.user} sees {self.device}"


class Transfer(models.Model):
    """The owner's offer of a device to `username`. Nothing changes until that user accepts; one offer per device.

    `recipient` is None if no active user has that name: the owner cannot tell the difference.
    """

    device = models.OneToOneField(Device, on_delete=models.CASCADE, related_name="transfer")
    sender = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    username = models.CharField(max_length=150)  # as the owner wrote it
    with_history = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"{self.device} to {self.username}"
