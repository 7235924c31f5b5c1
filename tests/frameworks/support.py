"""What the tests of frameworks share."""

import logging
from collections.abc import Iterator

import pytest

from asgi_multitier import CacheManager
from tests.compat.test_in_process import asked
from tests.compat.test_in_process import living as served

__all__ = ["asked", "logging_as_before", "memory", "served"]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Some frameworks set up logging for the whole process when an application is made."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.getLogger("asgi_multitier").disabled = False


def memory() -> CacheManager:
    """A manager without a server."""
    return CacheManager(redis_url=None, namespace="foreign")
