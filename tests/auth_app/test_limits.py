"""Attempt limits on a real Redis."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from auth_app.limits.attempts import Limit, address_group
from auth_app.limits.counters import Absence, LocalCounters, attempt_give_back, attempt_take, failures_counted
from core.errors import TooManyAttempts, Unauthorized, Unavailable
from telemetry.redis import RedisError, redis_client_sync

pytestmark = pytest.mark.usefixtures("stack")


def limit(most: int = 3) -> Limit:
    return Limit("test", secrets.token_hex(8), most)


def use_up(one: Limit) -> None:
    for _ in range(one.most):
        attempt_take(one)


def test_attempts_beyond_the_limit_are_refused_with_retry_after() -> None:
    one = limit()
    use_up(one)
    with pytest.raises(TooManyAttempts) as refused:
        attempt_take(one)
    assert 0 < int(refused.value.headers["Retry-After"]) <= settings.ATTEMPT_WINDOW_S


def test_a_burst_gets_exactly_the_allowed_attempts() -> None:
    one = limit(5)

    def passes(_: int) -> bool:
        try:
            attempt_take(one)
        except TooManyAttempts:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(passes, range(64))) == 5


def test_counts_in_redis_expire_and_do_not_contain_the_subject() -> None:
    one = limit()
    attempt_take(one)
    assert one.subject not in one.key
    assert 0 < redis_client_sync(settings.REDIS_URL).pttl(one.key) <= settings.ATTEMPT_WINDOW_S * 1000


def test_success_and_a_busy_server_do_not_count() -> None:
    one = limit(1)
    for _ in range(3):
        with failures_counted(one):
            pass
        with pytest.raises(Unavailable), failures_counted(one):
            raise Unavailable("busy")


def test_a_refusal_counts() -> None:
    one = limit(1)
    with pytest.raises(Unauthorized), failures_counted(one):
        raise Unauthorized
    with pytest.raises(TooManyAttempts), failures_counted(one):
        pytest.fail("the block must not run")


def test_an_exhausted_counter_does_not_charge_the_others() -> None:
    free, used = limit(1), limit(1)
    use_up(used)
    with pytest.raises(TooManyAttempts), failures_counted(free, used):
        pytest.fail("the block must not run")
    attempt_take(free)


def test_returning_an_expired_attempt_creates_no_key() -> None:
    one = limit()
    attempt_give_back(one)
    assert not redis_client_sync(settings.REDIS_URL).exists(one.key)


def test_in_process_counters_are_bounded_and_drop_the_oldest() -> None:
    counters = LocalCounters(size=2)
    assert [counters.take(key, 1, 60_000) for key in "abc"] == [0, 0, 0]
    assert counters.take("c", 1, 60_000) > 0
    assert counters.take("a", 1, 60_000) == 0


def test_in_process_counters_restart_after_the_window() -> None:
    counters = LocalCounters()
    assert counters.take("a", 1, 0) == 0
    assert counters.take("a", 1, 0) == 0


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, group: str) -> None:
    assert address_group(address) == group


def test_redis_is_not_retried_immediately_after_a_failure() -> None:
    """Each request may cost a timeout, and a login makes four."""
    absence = Absence(lasts_s=60)
    absence.require_over()
    absence.begin(RedisError("gone"))
    with pytest.raises(RedisError):
        absence.require_over()
    over = Absence(lasts_s=0)
    over.begin(RedisError("gone"))
    over.require_over()
