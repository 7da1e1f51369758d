"""What is limited, per account and per address. One place, so that each limit is a setting and none is forgotten."""

from __future__ import annotations

import ipaddress

from django.conf import settings

from auth_app.limits.counters import Counter

Pair = tuple[Counter, Counter]


def login_failures(username: str, address: str) -> Pair:
    """Per account (however its name is capitalised, whether it exists or not) and per address."""
    return (
        Counter("login-account", username.casefold(), settings.LOGIN_FAILURES_PER_ACCOUNT),
        Counter("login-address", address_group(address), settings.LOGIN_FAILURES_PER_ADDRESS),
    )


def registrations(username: str, address: str) -> Pair:
    return (
        Counter("register-account", username.casefold(), settings.REGISTRATIONS_PER_ACCOUNT),
        Counter("register", address_group(address), settings.REGISTRATIONS_PER_ADDRESS),
    )


def claim_failures(user_id: int, address: str) -> Pair:
    return (
        Counter("claim", str(user_id), settings.CLAIM_FAILURES_PER_USER),
        Counter("claim-address", address_group(address), settings.CLAIM_FAILURES_PER_ADDRESS),
    )


def keys_made(user_id: int, address: str) -> Pair:
    return (
        Counter("key-account", str(user_id), settings.API_KEYS_MADE_PER_ACCOUNT),
        Counter("key-address", address_group(address), settings.API_KEYS_MADE_PER_ADDRESS),
    )


def tickets(user_id: int, address: str) -> Pair:
    return (
        Counter("ticket-account", str(user_id), settings.TICKETS_PER_ACCOUNT),
        Counter("ticket-address", address_group(address), settings.TICKETS_PER_ADDRESS),
    )


def handshake_failures_of_account(user_id: int) -> Counter:
    return Counter("handshake-account", str(user_id), settings.HANDSHAKE_FAILURES_PER_ACCOUNT)


def handshake_failures_of_address(address: str) -> Counter:
    return Counter("handshake-address", address_group(address), settings.HANDSHAKE_FAILURES_PER_ADDRESS)


def address_group(address: str) -> str:
    """Who counts as one address: an IPv4 address, or the /64 that one IPv6 customer gets."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
