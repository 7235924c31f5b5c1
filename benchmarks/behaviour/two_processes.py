"""Questions to two processes that share a server with Redis's protocol.

The words are as in `one_process`. The server is killed or stopped by some, so their order counts.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from demo_app.valkey import Valkey

from ..servers import Server
from .one_process import CALLERS
from .replies import PATIENCE, Reply, ask, runs, settled, stormed

EDITS = 20
HANG = 4.0
"""Seconds for which the shared server hangs."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes of an application, and the server that they share."""

    one: Server
    two: Server
    valkey: Valkey


Question: TypeAlias = Callable[[Pair], str]


def shared(pair: Pair) -> str:
    """Whether one process answers from what the other has stored."""
    for number in range(10):
        first = ask(pair.one, f"/plain/shared{number}")
        time.sleep(0.2)  # what is written in the background has arrived
        before = runs(pair.two, "plain")
        second = ask(pair.two, f"/plain/shared{number}")
        if first.status == second.status == 200 and runs(pair.two, "plain") == before:
            return "yes"
        time.sleep(0.5)  # it may still be connecting
    return "no"


def storms(pair: Pair) -> str:
    """Runs for 500 callers who come at once, at both."""
    return stormed([pair.one, pair.two], CALLERS)


def edits(pair: Pair) -> str:
    """How often the other process answers an old row, asked at once after an edit."""
    old = 0
    for _ in range(EDITS):
        settled(pair.one, "/plain/edit")
        settled(pair.two, "/plain/edit")
        edited = ask(pair.one, "/plain/edit", "PUT").json().get("version")
        old += ask(pair.two, "/plain/edit").json().get("version") != edited
    return f"{old} of {EDITS} old"


def races(pair: Pair) -> str:
    """An edit on one process while the other is reading the old row."""
    reading = threading.Thread(target=ask, args=(pair.two, "/slow/race"))
    reading.start()
    time.sleep(0.2)
    edited = ask(pair.one, "/slow/race", "PUT").json().get("version")
    reading.join()
    time.sleep(0.2)
    found = ask(pair.two, "/slow/race").json().get("version")
    return "the new one" if found == edited else "the old one, for its lifetime"


def hanging(pair: Pair) -> str:
    """How long a read takes while the server hangs."""
    settled(pair.one, "/plain/hang")
    with _Hanging(pair.valkey):
        reply = ask(pair.one, "/plain/hang")
    return _told(reply, waits=HANG)


def edit_while_hanging(pair: Pair) -> str:
    """What both processes answer after an edit that was made while the server hung."""
    for server in (pair.one, pair.two):
        settled(server, "/plain/fault")
    with _Hanging(pair.valkey):
        edited = ask(pair.one, "/plain/fault", "PUT")
    time.sleep(2)
    new = edited.json().get("version", -1) if edited.status == 200 else None
    found = [ask(server, "/plain/fault").json().get("version") for server in (pair.one, pair.two)]
    if new is None:
        told = f"the edit fails ({edited.status or 'no answer'}) after its commit; then "
        return told + ("new" if found == [1, 1] else "the old one")
    told = "waits as long, then " if edited.seconds > HANG - 1 else ""
    return told + ("new" if found == [new, new] else "the old one, for its lifetime")


def gone(pair: Pair) -> str:
    """What a read gets when the server has been killed."""
    settled(pair.one, "/plain/gone")
    pair.valkey.kill()
    try:
        return _told(ask(pair.one, "/plain/gone"), waits=1.0)
    finally:
        pair.valkey.start()


def _told(reply: Reply, *, waits: float) -> str:
    if reply.status != 200:
        return f"fails ({reply.status})" if reply.status else f"no answer within {PATIENCE:.0f} s"
    if reply.seconds > waits - 0.5:
        return f"answered after {reply.seconds:.1f} s"
    return "answered"


class _Hanging:
    """The server is stopped for `HANG` seconds from the beginning of the block."""

    def __init__(self, valkey: Valkey) -> None:
        self._pid = valkey.pid

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        self._timer = threading.Timer(HANG, os.kill, (self._pid, signal.SIGCONT))
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.join()


QUESTIONS: dict[str, Question] = {
    "one process answers from what another has stored": shared,
    "runs of a 500 ms endpoint for 500 callers, two processes": storms,
    "read on the other process at once after an edit": edits,
    "the same, after an edit during its fill": races,
    "a hit while Redis hangs for 4 s": hanging,
    "an edit while Redis hangs for 4 s, then a read": edit_while_hanging,
    "a hit after Redis was killed": gone,
}
