"""The subset of MQTT 3.1.1 that the load generator needs, at QoS 0."""

from __future__ import annotations

from collections.abc import Sequence

CONNACK, SUBACK = b"\x20", b"\x90"


def connect(client_id: str) -> bytes:
    """Return a CONNECT packet: clean session, no keep-alive (section 3.1)."""
    return _packet(0x10, _string("MQTT") + b"\x04\x02\x00\x00" + _string(client_id))


def subscribe(topics: Sequence[str]) -> bytes:
    """Return one SUBSCRIBE packet for all topics; the broker answers with one SUBACK (section 3.8)."""
    return _packet(0x82, b"\x00\x01" + b"".join(_string(topic) + b"\x00" for topic in topics))


def publish(topic: str, payload: bytes) -> bytes:
    """Return a PUBLISH packet, neither acknowledged nor retained (section 3.3)."""
    return _packet(0x30, _string(topic) + payload)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _packet(kind: int, body: bytes) -> bytes:
    """Return a packet. Its length is encoded in groups of seven bits, lowest first (section 2.2.3)."""
    length, encoded = len(body), bytearray([kind])
    while True:
        length, group = divmod(length, 128)
        encoded.append(group | 0x80 if length else group)
        if not length:
            return bytes(encoded) + body
