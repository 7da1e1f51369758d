"""Which release this is."""

from __future__ import annotations

import tomllib

from django.conf import settings


def version() -> str:
    """As pyproject.toml says."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])
