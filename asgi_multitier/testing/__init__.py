"""For the tests of those who use the cache: assertions, contract suites for custom tiers, clocks.

The fixtures `cache_clock`, `cache_fleet`, `cache_redis` and `cache_detector` come with the pytest
plugin, which pytest finds by itself. To test a tier, derive a test class and define how a tier is
made:

    class TestMyTier(SharedTierContract):
        async def make(self) -> SharedTier:
            return MyTier("localhost", namespace=unique_name())

Pytest then tests every guarantee of the protocol, with pytest-asyncio in auto mode. The package's
own tiers pass the same suites. This module does not import pytest.
"""

from ..policy.status_field import CacheStatus, cache_status
from .assertions import (
    assert_bypassed,
    assert_hit,
    assert_invalidates,
    assert_stored,
    assert_varies_on,
)
from .clock import CacheClock, FakeClock
from .explaining import explain
from .local import LocalTierContract, value_entry
from .settling import settle, settled
from .shared import SharedTierContract

__all__ = [
    "CacheClock",
    "CacheStatus",
    "FakeClock",
    "LocalTierContract",
    "SharedTierContract",
    "assert_bypassed",
    "assert_hit",
    "assert_invalidates",
    "assert_stored",
    "assert_varies_on",
    "cache_status",
    "explain",
    "settle",
    "settled",
    "value_entry",
]
