"""Which namespaces have a log on a server: for those who have to say which one they mean."""

import asyncio
import re

from ..errors import BackendError
from .client import Link
from .tier import scanned

_PATIENCE = 2.0


async def namespaces(link: Link, channel: str) -> set[str]:
    """The namespaces whose logs lie there; those found within two seconds.

    Args:
        link: The way to the server.
        channel: What their logs are called.

    Raises:
        BackendError: If the server cannot be asked.
    """
    found: set[str] = set()
    end = f"}}:{channel}:ctl"
    escaped = re.sub(r"([*?\\[\]^])", r"\\\1", end)
    try:
        async with asyncio.timeout(_PATIENCE):
            async for names in scanned(link, "{*" + escaped):
                found.update(name[1 : -len(end)] for name in names)
    except TimeoutError:
        if not found:
            raise BackendError(f"{link.name}: no namespace found in time") from None
    return found
