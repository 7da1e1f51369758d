"""What counts as a secret: the same rule for the server and the writer."""

from __future__ import annotations

MIN_DISTINCT_CHARACTERS = 8
# What examples and generators put where a secret belongs.
PLACEHOLDERS = ("changeme", "change-me", "change_me", "django-insecure", "your-secret", "your_secret")


def secret_fault(value: str, *, minimum_length: int) -> str | None:
    """What is wrong with a secret, as the end of a sentence that begins with its name; None for a good one.

    The words never show the value.
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
