"""The type of a connection to TimescaleDB, borrowed from the pool."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
