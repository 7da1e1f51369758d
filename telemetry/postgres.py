"""How every part of the project connects to the telemetry database."""

from __future__ import annotations


def connection_options(*, application_name: str, connect_timeout_s: int) -> dict[str, str | int]:
    """Return libpq parameters that end half-open connections.

    The kernel gives up on data without an acknowledgement after 5 s, and probes a peer that was idle for 5 s. Without
    these, a host that vanished would be noticed after minutes.
    """
    return {
        "application_name": application_name,
        "connect_timeout": connect_timeout_s,
        "tcp_user_timeout": 5_000,  # milliseconds
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }
