"""The map with a young and an old generation."""

import random

from asgi_multitier.asgi.two_generation_cache import TwoGenerationCache


def test_it_stays_within_its_bounds_where_old_keys_are_recalled() -> None:
    """Entries and bytes stay within the bounds also where old keys are recalled all the time."""
    cache: TwoGenerationCache[str, int] = TwoGenerationCache(100, 10_000, len)
    randomly = random.Random(1)
    known: list[str] = []
    for number in range(1_500):
        key = f"{number}".ljust(randomly.choice([10, 400]), "x")
        cache.remember(key, number)
        known.append(key)
        for old in known[-120:]:
            cache.recall(old)

        if number % 10:
            continue
        assert len(cache) <= 100
        assert sum(map(len, (*cache.young, *cache._old))) <= 10_000 + 2 * 400


def test_what_is_recalled_from_the_old_generation_is_young_again() -> None:
    """What is recalled from the old generation survives the next change."""
    cache: TwoGenerationCache[str, int] = TwoGenerationCache(4, 1_000, len)
    cache.remember("used", 0)
    for number in range(20):
        cache.remember(f"{number}", number)
        assert cache.young.get("used", cache.recall("used")) == 0
    cache.clear()

    assert len(cache) == 0
    assert cache.recall("used") is None


def test_what_is_remembered_again_counts_once() -> None:
    """Else a sample of the same targets would push out all others."""
    memory: TwoGenerationCache[str, int] = TwoGenerationCache(100, 40, len)
    memory.remember("other", 0)
    for value in range(50):
        memory.remember("same", value)

    assert (memory.young.get("other"), memory.young.get("same")) == (0, 49)


def test_a_new_half_is_where_keys_are_looked_up() -> None:
    """Also while a sample is taken, which ends with the half."""
    memory: TwoGenerationCache[int, int] = TwoGenerationCache(4, 100, lambda _: 1)
    for sampled in (False, True):
        if sampled:
            memory.overlook(50)
        for key in range(5):
            memory.remember(key, key)
        assert memory.young.get(4) == 4
        assert memory.young.get(0) is None


def test_a_sample_overlooks_so_many_and_is_replaced_by_the_next() -> None:
    """What is looked up then is found; so it is if none is taken."""
    memory: TwoGenerationCache[str, int] = TwoGenerationCache(4, 100, len)
    memory.remember("a", 1)
    memory.overlook(2)
    assert [memory.young.get("a") for _ in range(3)] == [None, None, 1]
    memory.overlook(2)
    memory.overlook(1)
    assert [memory.young.get("a") for _ in range(2)] == [None, 1]
    memory.overlook(9)
    memory.overlook(0)
    assert memory.young.get("a") == 1
