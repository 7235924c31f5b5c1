"""What a server tells of itself to a person who looks for a fault."""

import time
from dataclasses import dataclass

from redis.exceptions import RedisError

from ..errors import BackendError
from .client import Link, one_command, send
from .log_store import refused_commands
from .recipe import RedisClient


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        name: The server's address, without credentials.
        latency: Seconds that the fastest of some answers took; None if there was none.
        error: Why there was none; "" otherwise.
        version: Of the server; "" if the user may not know.
        policy: Its `maxmemory-policy`; "" if the user may not know.
        used, limit: Bytes of memory; None if not known, and a limit of 0 for none.
        role: `"master"` or `"slave"`; "" if not known.
        refused: Commands that the cache needs, and that the user may not run.
    """

    name: str
    latency: float | None = None
    error: str = ""
    version: str = ""
    policy: str = ""
    used: int | None = None
    limit: int | None = None
    role: str = ""
    refused: tuple[str, ...] = ()


_PINGS = 5


async def examine(link: Link, namespace: str, channel: str) -> Examination:
    """Ask a server what it is. Nothing is changed.

    Args:
        link: The connections.
        namespace: Whose keys are meant.
        channel: The name of the log.
    """
    latency: float | None = None
    try:
        for _ in range(_PINGS):
            begun = time.perf_counter()
            await link.run(one_command("PING"))
            took = time.perf_counter() - begun
            latency = took if latency is None else min(latency, took)
        facts = await link.run(_facts, timeout=2 * link.timeout)
        refused = await refused_commands(link, namespace, channel)
    except BackendError as error:
        return Examination(link.name, latency, str(error))
    return Examination(
        name=link.name,
        latency=latency,
        version=facts.get("valkey_version") or facts.get("redis_version", ""),
        policy=facts.get("maxmemory_policy", ""),
        used=_number(facts.get("used_memory")),
        limit=_number(facts.get("maxmemory")),
        role=facts.get("role", ""),
        refused=tuple(refused),
    )


async def _facts(client: RedisClient) -> dict[str, str]:
    """What INFO tells of one server; nothing if that is refused, or there are several."""
    found: dict[str, str] = {}
    for section in ("server", "memory", "replication"):
        try:
            reply = await send(client, "INFO", section)
        except RedisError:
            return {}
        found |= {str(name): str(value) for name, value in reply.items() if isinstance(reply, dict)}
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
