"""REDIS_URL: accepted forms and the resulting addresses."""

from __future__ import annotations

import pytest

from telemetry.names import device_of, live_channel, ring_key
from telemetry.redis_url import redis_address


def test_a_single_server_uses_the_format_of_redis_py() -> None:
    address = redis_address("rediss://user:p%40ss@host:1234/2?ssl_ca_certs=ca.pem")
    assert address.nodes == ()
    assert not address.is_cluster
    expected = {"username": "user", "password": "p@ss", "host": "host", "port": 1234, "db": 2, "ssl": True}
    assert address.options.items() >= expected.items()
    assert address.options["ssl_ca_certs"] == "ca.pem"


def test_sentinels_with_and_without_ports_a_service_and_a_database() -> None:
    address = redis_address("redis+sentinel://:secret@one:1,two,[::1]:3/home/5?sentinel_password=other")
    assert address.nodes == (("one", 1), ("two", 26379), ("::1", 3))
    assert (address.service, address.is_cluster) == ("home", False)
    assert address.options == {"password": "secret", "db": 5}
    assert address.sentinel_options == {"password": "other"}


def test_a_cluster_over_tls() -> None:
    address = redis_address("rediss+cluster://:secret@one:1,two")
    assert address.nodes == (("one", 1), ("two", 6379))
    assert address.is_cluster
    assert address.options == {"password": "secret", "ssl": True}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "http://:hush@host",
        "redis+sentinel://:hush@host",
        "redis+sentinel://:hush@host/service/0/more",
        "redis+sentinel://:hush@host/service/zero",
        "redis+cluster://:hush@host/1",
        "redis+cluster://:hush@one,,two",
        "redis+other://:hush@host",
        "unix+cluster://:hush@host",
    ],
)
def test_other_urls_are_rejected_without_their_passwords(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        redis_address(url)
    assert "hush" not in str(refused.value)


def test_the_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(redis_address("redis+sentinel://:secret@one/home?sentinel_password=secret"))


def test_in_a_cluster_the_device_id_is_a_hash_tag() -> None:
    assert (ring_key("ems_1"), live_channel("ems_1")) == ("telemetry:ring:ems_1", "telemetry:live:ems_1")
    names = [name("ems_1", is_cluster=True) for name in (ring_key, live_channel)]
    assert names == ["telemetry:ring:{ems_1}", "telemetry:live:{ems_1}"]
    assert {device_of(name) for name in (*names, ring_key("ems_1"))} == {"ems_1"}
