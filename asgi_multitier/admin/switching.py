"""The switch of the cache: of one process, or of all workers of its machine."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

from ..config.process import Mode, read_mode
from ..engine.engine import Engine
from ..errors import ConfigError
from ..workers import Answer, Workers

QUESTION = "mode"
"""What workers are asked: `mode`, and for the log `right` and `client` of who asked for it."""

PATIENCE = 5.0
"""Seconds that the other workers may take to switch."""


class Switched(Protocol):
    """A cache, as far as its switch is concerned."""

    mode: Mode
    workers: Workers

    @property
    def engine(self) -> Engine:
        """Its parts."""


def switch(cache: Switched, mode: Mode, right: str, client: str) -> dict[str, Any]:
    """Switch this process, and write a line to the log.

    Returns:
        `pid`, `mode`, and what it `was`.
    """
    was, cache.mode = cache.mode, mode
    cache.engine.events.acted(f"mode {mode}", right, client)
    return {"pid": os.getpid(), "mode": mode, "was": was}


async def switch_all(cache: Switched, mode: Mode, right: str, client: str) -> list[dict[str, Any]]:
    """Switch all workers of this machine, this process among them.

    Returns:
        Of each worker its number, `pid`, `mode` and `was`, or why it is `missing`.
    """
    # Not by a question: this one answers none before its start, or without sockets.
    own = Answer(cache.workers.number, switch(cache, mode, right, client))
    asked = {"mode": mode, "right": right, "client": client}
    others = await cache.workers.ask_others(QUESTION, asked, PATIENCE)
    found = [_shown(answer) for answer in (own, *others)]
    return sorted(found, key=lambda one: -1 if one["worker"] is None else one["worker"])


def _shown(answer: Answer) -> dict[str, Any]:
    value = answer.value if isinstance(answer.value, dict) else {}
    return {
        "worker": answer.worker,
        "pid": value.get("pid"),
        "mode": value.get("mode"),
        "was": value.get("was"),
        "missing": answer.missing or ("" if value else "refused"),
    }


def answer_workers(cache: Switched) -> None:
    """Let the other workers of this machine switch this one."""

    async def switched(asked: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            mode = read_mode(asked.get("mode"), "mode")
        except ConfigError:
            return None
        return switch(cache, mode, str(asked.get("right")), str(asked.get("client")))

    cache.workers.answers(QUESTION, switched)
