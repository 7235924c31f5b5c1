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
