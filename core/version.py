"""The version of this release."""

from __future__ import annotations

import tomllib

from django.conf import settings


def version() -> str:
    """The version in pyproject.toml."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])
