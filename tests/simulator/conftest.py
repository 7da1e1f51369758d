"""Writers for the simulator."""

from __future__ import annotations

from tests.writer.conftest import start_writer

__all__ = ["start_writer"]
