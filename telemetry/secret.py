"""The rule for secrets, for the server and the writer."""

from __future__ import annotations

MIN_DISTINCT_CHARACTERS = 8
# Parts of secrets in examples and generated settings.
PLACEHOLDERS = ("changeme", "change-me", "change_me", "django-insecure", "your-secret", "your_secret")


def secret_fault(value: str, *, minimum_length: int) -> str | None:
    """The fault of a secret, as the end of a sentence that begins with its name; None for a good one.

    It never shows the value.
    """
    if not value:
        return "is not set"
    if any(placeholder in value.lower() for placeholder in PLACEHOLDERS):
        return "is the placeholder of an example"
    if len(value) < minimum_length:
        return "is too short"
    if len(set(value)) < MIN_DISTINCT_CHARACTERS:
        return "has too few different characters"
    return None
