"""Many requests for one path at the same time, each on a connection of its own."""

import asyncio
import time
from dataclasses import dataclass

from .servers import Server


@dataclass(frozen=True, slots=True)
class Call:
    """One of the requests.

    Attributes:
        seconds: How long its caller waited.
        answered: Whether its status was 200.
    """

    seconds: float
    answered: bool


async def storm(servers: list[Server], path: str, callers: int) -> list[Call]:
    """Ask all at once, and return when the last has its answer.

    Args:
        servers: They are asked in turn.
        path: What all ask for.
        callers: How many there are.
    """
    calls = [_call(servers[number % len(servers)], path) for number in range(callers)]
    return await asyncio.gather(*calls)


async def _call(server: Server, path: str) -> Call:
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    return Call(time.perf_counter() - begun, b" 200 " in answer[:16])
