"""Parts of the package that few processes ever need are loaded when one is asked for."""

import asyncio
import sys
from importlib import import_module


async def loaded(name: str) -> None:
    """Load a module in a thread, if it is not there yet: the event loop goes on meanwhile.

    Args:
        name: Its full name.
    """
    if name not in sys.modules:
        await asyncio.to_thread(import_module, name)
