"""Contract suites for custom tiers, and a clock that tests control.

To test a tier, derive a test class and define how a tier is made:

    class TestMyTier(SharedTierContract):
        async def make(self) -> SharedTier:
            return MyTier("localhost", namespace=unique_name())

Pytest then tests every guarantee of the protocol, with pytest-asyncio in auto mode. The package's
own tiers pass the same suites. This module does not import pytest.
"""

from .clock import FakeClock
from .local import LocalTierContract, value_entry
from .shared import SharedTierContract

__all__ = ["FakeClock", "LocalTierContract", "SharedTierContract", "value_entry"]
