"""The cache of access decisions."""

from __future__ import annotations

import threading

from auth_app.identity import Credentials
from core.decision_cache import DecisionCache


def test_values_read_before_a_purge_are_not_stored_after_it() -> None:
    cache: DecisionCache[str, int] = DecisionCache(lifetime_s=60)
    generation = cache.generation
    cache.purge()
    cache.put("a", 1, generation=generation)
    assert cache.get("a") is None


def test_a_purge_deletes_only_matching_entries() -> None:
    cache: DecisionCache[str, int] = DecisionCache(lifetime_s=60)
    for key, value in {"a": 1, "b": 2}.items():
        cache.put(key, value, generation=cache.generation)
    cache.purge(lambda key, _: key == "a")
    assert (cache.get("a"), cache.get("b")) == (None, 2)


def test_the_cache_is_bounded() -> None:
    cache: DecisionCache[int, int] = DecisionCache(lifetime_s=60, size=2)
    for number in range(3):
        cache.put(number, number, generation=0)
    assert [cache.get(number) for number in range(3)] == [None, 1, 2]


def test_a_decision_expires() -> None:
    cache: DecisionCache[str, int] = DecisionCache(lifetime_s=0)
    cache.put("a", 1, generation=0)
    assert cache.get("a") is None


def test_another_thread_can_purge_during_writes() -> None:
    cache: DecisionCache[Credentials, int] = DecisionCache(lifetime_s=60, size=200)
    done = threading.Event()
    failures: list[Exception] = []

    def purge() -> None:
        try:
            while not done.is_set():
                cache.purge(lambda _, value: value % 2 == 0)
        except RuntimeError as error:  # "mutated during iteration"
            failures.append(error)

    thread = threading.Thread(target=purge)
    thread.start()
    for number in range(30_000):
        cache.put(Credentials(bearer=str(number)), number, generation=cache.generation)
    done.set()
    thread.join()
    assert not failures
