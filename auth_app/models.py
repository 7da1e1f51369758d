"""Users and their access tokens."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from auth_app.events import AccessChange, announce


class User(AbstractUser):
    """A person who signs in. Names that differ only in case are one name."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("username"),
                name="one_user_per_username",
                violation_error_message="A user with that username already exists.",
            )
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A new password ends every token, whoever sets it: the admin, `manage.py changepassword`, a script.

        Here and not in a service because those do not call ours. A changed password or `is_active` is announced.
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
            announce(AccessChange(users=(self.pk,)))


class AccessToken(models.Model):
    """A credential. Only the SHA-256 of the token is stored; losing this table gives nobody access.

    A browser session has a row here too (kind SESSION, its digest belongs to no token anybody holds), so that
    whatever ends a token ends a session the same way.
    """

    class Kind(models.TextChoices):
        LOGIN = "login"
        API_KEY = "api_key"
        SESSION = "session"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_tokens")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=100, blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.name or self.pk}"
