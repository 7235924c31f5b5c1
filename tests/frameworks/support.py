"""What the tests of frameworks share."""

from asgi_multitier import CacheManager
from tests.compat.test_in_process import asked, logging_as_before
from tests.compat.test_in_process import living as served

__all__ = ["asked", "logging_as_before", "memory", "served"]


def memory() -> CacheManager:
    """A manager without a server."""
    return CacheManager(redis_url=None, namespace="foreign")
