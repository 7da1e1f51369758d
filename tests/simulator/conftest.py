"""Writers for the simulator to send to."""

from __future__ import annotations

from tests.writer.conftest import start_writer

__all__ = ["start_writer"]
