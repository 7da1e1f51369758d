"""Users, their access tokens, and the audit log."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from auth_app.events import AccessChange, announce


class User(AbstractUser):
    """A person who signs in. Usernames are unique without regard to case."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("username"),
                name="one_user_per_username",
                violation_error_message="A user with that username already exists.",
            )
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A new password revokes every token, no matter who sets it: the admin, `manage.py changepassword`, a script.

        This is not in a service because those do not call ours. Announces a changed password or `is_active`.
        """
        stored = User.objects.filter(pk=self.pk).values_list("password", "is_active")
        with transaction.atomic():
            before = stored.first()
            super().save(*args, **kwargs)
            after = stored.first()
            if before is None or after is None or before == after:
                return
            if before[0] != after[0]:
                self.access_tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
                AuditEntry.objects.create(
                    event=AuditEntry.Event.PASSWORD_CHANGED,
                    user=self,
                    username=self.username,
                    detail="set by an administrator",
                )
            announce(AccessChange(users=(self.pk,)))


class AccessToken(models.Model):
    """A credential. Only the SHA-256 of the token is stored, so a copy of this table gives nobody access.

    A browser session has a row too (kind SESSION; nobody has the token of its digest), so that sessions end in the same
    ways as tokens.
    """

    class Kind(models.TextChoices):
        LOGIN = "login"
        API_KEY = "api_key"
        SESSION = "session"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_tokens")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=100, blank=True)
    scopes = models.CharField(max_length=64, blank=True)  # of an API key, see scopes.py; other tokens have every scope
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.name or self.pk}"

    @property
    def scope_names(self) -> list[str]:
        return self.scopes.split()


class AuditEntry(models.Model):
    """An action: user, event, time, address. Only the count of a denial changes. Purged after AUDIT_RETENTION_DAYS.

    `user`: who acted, or whose account was attacked. `owner`: the owner of the device at that time, who may read the
    entry. Names are stored as text too, because an entry outlives what it names.
    """

    class Event(models.TextChoices):
        REGISTERED = "registered"
        LOGIN = "login"
        LOGIN_FAILED = "login_failed"
        LOGOUT = "logout"
        PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event
        KEY_MADE = "key_made"
        KEY_REVOKED = "key_revoked"
        CLAIMED = "claimed"
        RELEASED = "released"
        TRANSFER_OFFERED = "transfer_offered"
        TRANSFER_ENDED = "transfer_ended"
        TRANSFERRED = "transferred"
        SHARED = "shared"
        UNSHARED = "unshared"
        SHARE_EXPIRED = "share_expired"
        DENIED = "denied"

    time = models.DateTimeField(default=timezone.now)
    event = models.CharField(max_length=32, choices=Event.choices)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    username = models.CharField(max_length=150, blank=True)
    device_id = models.CharField(max_length=64, blank=True)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    detail = models.CharField(max_length=200, blank=True)
    address = models.CharField(max_length=64, blank=True)
    count = models.PositiveIntegerField(default=1)

    class Meta:
        ordering: ClassVar = ["-pk"]
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="audit_of_user"),
            models.Index(fields=["device_id", "-id"], name="audit_of_device"),
            models.Index(fields=["time"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.device_id or self.username}"
