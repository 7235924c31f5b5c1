"""Fixtures of the manager's tests."""

from tests.tiers.conftest import memcached

__all__ = ["memcached"]
