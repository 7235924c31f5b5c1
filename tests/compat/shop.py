"""What the shop's routes do in every framework, and what they leave behind for those who look.

A route's run leaves a line in a file, which all workers share and which outlives them. A gate is a
file too: it is shut until a test makes it.
"""

import asyncio
import os
import time
from pathlib import Path

from asgi_multitier import CacheManager, Rule

NOTES = "COMPAT_NOTES"
"""The variable that names the folder of notes and gates."""

PARTS = ("one,", "two,", "three")
"""What `/stream` gives, in so many messages."""

CONTENT = b"0123456789"
"""What `/file` gives."""

_PATIENCE = 60.0
_STEP = 0.005


class ShopError(Exception):
    """What `/error` raises."""


def rules() -> list[Rule]:
    """The rules of an application whose endpoints have no annotations."""
    paths = ("/slow", "/cookie", "/stream", "/background", "/file", "/error", "/missing/*")
    return [Rule("/items/*", 60, tags=["items"]), *(Rule(path, 60) for path in paths)]


def cache() -> CacheManager:
    """The cache as the environment sets it up (`REDIS_URL`, `ASGI_MULTITIER_NAMESPACE`)."""
    return CacheManager()


def folder() -> Path:
    """Where notes and gates are."""
    return Path(os.environ[NOTES])


def note(what: str) -> int:
    """Leave a line; how many there are now."""
    with (folder() / f"{what}.note").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return noted(what)


def noted(what: str) -> int:
    """How many lines there are."""
    try:
        return (folder() / f"{what}.note").read_text().count("\n")
    except FileNotFoundError:
        return 0


def open_gate(name: str) -> None:
    """Let through who waits there, and all who come later."""
    (folder() / f"{name}.gate").touch()


async def wait_at_gate(name: str) -> None:
    """Wait until it is open."""
    await asyncio.to_thread(wait_at_gate_in_thread, name)


def wait_at_gate_in_thread(name: str) -> None:
    """Wait until it is open, where no event loop runs."""
    begun = time.monotonic()
    while not (folder() / f"{name}.gate").exists():
        assert time.monotonic() - begun < _PATIENCE, f"no one opened {name}"
        time.sleep(_STEP)


def item(number: int) -> dict[str, int]:
    """What `/items/{id}` gives."""
    return {"id": number, "run": note(f"item-{number}")}


async def slow() -> dict[str, int]:
    """What `/slow` gives, when its gate is open."""
    run = note("slow")
    await wait_at_gate("slow")
    return {"run": run}


async def afterwards() -> None:
    """The work of `/background` after its response."""
    await wait_at_gate("background")
    note("worked")


def file() -> Path:
    """The file that `/file` gives."""
    path = folder() / "file.txt"
    if not path.exists():
        path.write_bytes(CONTENT)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def forget() -> None:
    """Remove all notes and shut all gates."""
    for left in (*folder().glob("*.note"), *folder().glob("*.gate")):
        left.unlink()


async def drop(cache: CacheManager | None, tag: str) -> dict[str, str]:
    """What `/tags/{tag}` does where endpoints have no annotations."""
    if cache is not None:
        await cache.invalidate_tags(tag)
    return {"dropped": tag}
