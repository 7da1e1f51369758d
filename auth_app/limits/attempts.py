"""The limits on attempts, per account and per address. Each one is a setting."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from django.conf import settings
from django.utils.crypto import salted_hmac


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` attempts of one subject in ATTEMPT_WINDOW_S, which begins with the first of them."""

    kind: str
    subject: str
    most: int

    @property
    def key(self) -> str:
        """The name in Redis. Keyed with SECRET_KEY, so that Redis does not reveal who signs in from where."""
        return f"wattstream:attempts:{self.kind}:{salted_hmac(self.kind, self.subject, algorithm='sha256').hexdigest()}"


Pair = tuple[Limit, Limit]


def login_failures(username: str, address: str) -> Pair:
    """Per account (without regard to case, whether it exists or not) and per address."""
    return (
        Limit("login-account", username.casefold(), settings.LOGIN_FAILURES_PER_ACCOUNT),
        Limit("login-address", address_group(address), settings.LOGIN_FAILURES_PER_ADDRESS),
    )


def password_failures(user_id: int, address: str) -> Pair:
    """Wrong current passwords of an authenticated user. A stranger can use up `login_failures`, but not these."""
    return (
        Limit("password-account", str(user_id), settings.LOGIN_FAILURES_PER_ACCOUNT),
        Limit("password-address", address_group(address), settings.LOGIN_FAILURES_PER_ADDRESS),
    )


def registrations(username: str, address: str) -> Pair:
    return (
        Limit("register-account", username.casefold(), settings.REGISTRATIONS_PER_ACCOUNT),
        Limit("register", address_group(address), settings.REGISTRATIONS_PER_ADDRESS),
    )


def claim_failures(user_id: int, address: str) -> Pair:
    return (
        Limit("claim", str(user_id), settings.CLAIM_FAILURES_PER_USER),
        Limit("claim-address", address_group(address), settings.CLAIM_FAILURES_PER_ADDRESS),
    )


def names_given(user_id: int) -> Limit:
    """Usernames in shares and transfers. Per account only: the user is authenticated."""
    return Limit("names", str(user_id), settings.NAMES_GIVEN_PER_USER)


def keys_made(user_id: int, address: str) -> Pair:
    return (
        Limit("key-account", str(user_id), settings.API_KEYS_MADE_PER_ACCOUNT),
        Limit("key-address", address_group(address), settings.API_KEYS_MADE_PER_ADDRESS),
    )


def tickets(user_id: int, address: str) -> Pair:
    return (
        Limit("ticket-account", str(user_id), settings.TICKETS_PER_ACCOUNT),
        Limit("ticket-address", address_group(address), settings.TICKETS_PER_ADDRESS),
    )


def handshake_failures_of_account(user_id: int) -> Limit:
    return Limit("handshake-account", str(user_id), settings.HANDSHAKE_FAILURES_PER_ACCOUNT)


def handshake_failures_of_address(address: str) -> Limit:
    return Limit("handshake-address", address_group(address), settings.HANDSHAKE_FAILURES_PER_ADDRESS)


def address_group(address: str) -> str:
    """The unit that is counted as one address: an IPv4 address, or an IPv6 /64, the prefix of one customer."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
