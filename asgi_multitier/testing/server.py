"""A Redis for one test."""

from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from fakeredis import FakeServer


def new_server() -> "FakeServer":
    """An empty server of fakeredis. It is imported here, for a test that has asked for it.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        from fakeredis import FakeServer
    except ImportError as error:
        raise ConfigError(
            "cache_redis needs the package fakeredis: pip install asgi-multitier[testing]"
        ) from error
    return FakeServer()
