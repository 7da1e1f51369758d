"""Whether open sessions still have the access they were opened with: one question about many sessions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from auth_app.identify import identities_still_valid
from auth_app.identity import Identity
from core.accounts import accounts_ask
from devices_app.access import accesses_still_valid

# One question about thousands of devices would hold the interpreter's lock for so long that frames wait for it.
PORTION_DEVICES = 200


class Guarded(Protocol):
    """A live session, as far as its access is concerned."""

    identity: Identity

    @property
    def devices(self) -> Collection[str]: ...

    def revoke(self, device_id: str) -> None:
        """Stop sending this device's readings."""

    def expire(self, device_id: str, moment: float | None) -> None:
        """Set when access to a device ends (seconds since the epoch), None for no end."""

    def sign_out(self) -> None:
        """Close the session: the credentials are no longer valid."""

    async def restart(self, timeout_s: float) -> None:
        """Send what is queued, then close: the server stops."""


async def sessions_check(sessions: Collection[Guarded]) -> None:
    """Ask the accounts database, and end what has ended. Raises `Unavailable`."""
    tokens = {session.identity.token_id for session in sessions}
    pairs = {(session.identity.user_id, device_id) for session in sessions for device_id in session.devices}
    valid_tokens = await accounts_ask(identities_still_valid, tokens)
    valid_pairs = await accounts_ask(accesses_still_valid, pairs)
    for session in sessions:
        if session.identity.token_id in valid_tokens:
            _devices_check(session, pairs, valid_pairs)
        else:
            session.sign_out()


def _devices_check(
    session: Guarded, asked: Collection[tuple[int, str]], valid: Mapping[tuple[int, str], float | None]
) -> None:
    for device_id in list(session.devices):
        pair = (session.identity.user_id, device_id)
        if pair in valid:
            session.expire(device_id, valid[pair])
        elif pair in asked:  # else the session has subscribed to the device since the question
            session.revoke(device_id)


def portions(sessions: Iterable[Guarded]) -> Iterator[list[Guarded]]:
    """Split `sessions` into lists with about `PORTION_DEVICES` devices each."""
    portion: list[Guarded] = []
    devices = 0
    for session in list(sessions):
        portion.append(session)
        devices += 1 + len(session.devices)
        if devices >= PORTION_DEVICES:
            yield portion
            portion, devices = [], 0
    if portion:
        yield portion
