"""Paths of this checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
VENV = ROOT / ".venv"
LOCKS = ROOT / "requirements"
DASHBOARD = ROOT / "dashboard"


def shown(path: Path) -> str:
    """The path as a person at the repository root would type it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
