"""Which versions of uvicorn the protocols stand on: they are subclasses of its own."""

import re

from ..errors import ConfigError

OLDEST = (0, 32)
NEWEST = (0, 54)
"""The first and the last version, without the last part, that the tests have passed with."""


def check(version: str) -> None:
    """Refuse a version of uvicorn that the protocols were not tested with.

    Args:
        version: As uvicorn gives it, such as `"0.54.0"`.

    Raises:
        ConfigError: If it is another one. The message says what to write instead.
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or not OLDEST <= (int(found[1]), int(found[2])) <= NEWEST:
        first, last = (".".join(map(str, one)) for one in (OLDEST, NEWEST))
        allowed = f"{first} to {last}; write --http httptools or --http h11, which is right as well"
        raise ConfigError.of("uvicorn", version, allowed, where="asgi_multitier.uvicorn")
