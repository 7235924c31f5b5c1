"""Questions to one process that keeps everything in memory.

Each function is one question: it takes the server and returns the words of its answer. Each uses
rows that no other uses.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ..peers.answers.data import SHORT
from ..servers import Server
from .replies import Reply, ask, settled, stormed

Question: TypeAlias = Callable[[Server, Path], str]

CALLERS = 500


def hits(server: Server, _: Path) -> str:
    """Whether anything is cached, without which the other answers mean nothing."""
    first, second = settled(server, "/plain/hit"), ask(server, "/plain/hit")
    return "yes" if first.run and first.run == second.run else "no"


def storms(server: Server, _: Path) -> str:
    """Runs for 500 callers who come at once."""
    return stormed([server], CALLERS)


def vary(server: Server, _: Path) -> str:
    """Whether a response's `Vary` is honoured."""
    return _told_apart(
        [settled(server, "/language/a", accept_language=name) for name in ("fi", "fi", "en")]
    )


def authorization(server: Server, _: Path) -> str:
    """What becomes of a response made of `Authorization` that no field calls private."""
    return _told_apart(
        [
            settled(server, "/own/a", authorization=f"Bearer {name}")
            for name in ("ann", "ann", "bob")
        ]
    )


def cookies(server: Server, _: Path) -> str:
    """The same of a cookie."""
    return _told_apart(
        [settled(server, "/session/a", cookie=f"session={name}") for name in ("ann", "ann", "bob")]
    )


def _told_apart(replies: list[Reply]) -> str:
    """What three replies to Ann, to Ann and to Bob say."""
    first, second, third = replies
    if third.run == first.run:
        return "Bob gets what was made for Ann"
    return "one for each value" if first.run == second.run else "not cached"


def set_cookie(server: Server, _: Path) -> str:
    """What the second client gets of a response that sets a cookie."""
    first, second = settled(server, "/login/a"), ask(server, "/login/a")
    if first.run != second.run:
        return "not cached"
    if second.field("set-cookie") is None:
        return "cached without the cookie"
    same = second.field("set-cookie") == first.field("set-cookie")
    return "the second client gets the first one's cookie" if same else "a new cookie"


def no_store(server: Server, _: Path) -> str:
    """Whether the response's `no-store` counts."""
    return (
        "cached"
        if settled(server, "/private/a").run == ask(server, "/private/a").run
        else "honoured"
    )


def errors(server: Server, _: Path) -> str:
    """What becomes of a 503."""
    first, second = settled(server, "/failing/a"), ask(server, "/failing/a")
    if first.run != second.run:
        return "not cached"
    return "cached" if second.status == 503 else f"cached, and sent as {second.status}"


def fields(server: Server, _: Path) -> str:
    """Which of the endpoint's fields a hit has."""
    first, second = settled(server, "/fields/a"), ask(server, "/fields/a")
    if first.run != second.run:
        return "no hit"
    links = ",".join(value for name, value in second.lines if name == "link").count("rel=")
    total = second.field("x-total") is not None
    if (total, links) == (True, 2):
        return "all"
    return "none" if not total and not links else f"of two `Link` lines {links}"


def validators(server: Server, _: Path) -> str:
    """Whether a hit has an `ETag`, and gives a 304 for it."""
    settled(server, "/plain/tag")
    tag = ask(server, "/plain/tag").field("etag")
    if tag is None:
        return "no `ETag`"
    status = ask(server, "/plain/tag", if_none_match=tag).status
    return "`ETag`, 304" if status == 304 else f"`ETag`, {status}"


def ranges(server: Server, _: Path) -> str:
    """What a request for the first bytes of a hit gets."""
    settled(server, "/plain/range")
    return str(ask(server, "/plain/range", range="bytes=0-3").status)


def requested(server: Server, _: Path) -> str:
    """Whether any client can have the endpoint run, by `Cache-Control: no-cache`."""
    first = settled(server, "/plain/force")
    return (
        "runs" if ask(server, "/plain/force", cache_control="no-cache").run != first.run else "hit"
    )


def streams(server: Server, _: Path) -> str:
    """When the first byte of a stream of 1.2 s comes, and what the second client gets."""
    first, second = settled(server, "/stream/a"), ask(server, "/stream/a")
    if first.status != 200:
        return f"fails ({first.status})"
    begun = "passed on" if first.first < 0.8 else "held until it ends"
    if second.content == first.content:
        return f"{begun}; cached"
    whole = second.status == 200 and second.content.count(b"part") == 3
    return f"{begun}; not cached" if whole else f"{begun}; the second client gets no whole response"


def stale(server: Server, folder: Path) -> str:
    """What comes when the origin fails after the lifetime, with what the cache has for that."""
    fresh = settled(server, "/fragile/a")
    time.sleep(SHORT + 1.2)
    with contextlib.ExitStack() as stack:
        (folder / "down").touch()
        stack.callback((folder / "down").unlink)
        reply = ask(server, "/fragile/a")
    return "the stale response" if reply.run == fresh.run else f"the failure ({reply.status})"


def edits(server: Server, _: Path) -> str:
    """What is read after an edit that names what it drops."""
    settled(server, "/plain/edit")
    edited = ask(server, "/plain/edit", "PUT").json()["version"]
    return (
        "the new one" if ask(server, "/plain/edit").json()["version"] == edited else "the old one"
    )


def races(server: Server, _: Path) -> str:
    """What is read after an edit that came while the old row was being read."""
    reading = threading.Thread(target=ask, args=(server, "/slow/race"))
    reading.start()
    time.sleep(0.2)
    edited = ask(server, "/slow/race", "PUT").json()["version"]
    reading.join()
    found = ask(server, "/slow/race").json()["version"]
    return "the new one" if found == edited else "the old one, for its lifetime"


QUESTIONS: dict[str, Question] = {
    "a second request is a hit": hits,
    f"runs of a 500 ms endpoint for {CALLERS} callers": storms,
    "`Vary: Accept-Language` in the response": vary,
    "made of `Authorization`, no `Vary`": authorization,
    "made of a cookie, no `Vary`": cookies,
    "response with `Set-Cookie`": set_cookie,
    "response with `no-store`": no_store,
    "status 503, set by the endpoint": errors,
    "the endpoint's field lines on a hit": fields,
    "validation by clients": validators,
    "`Range` of a hit": ranges,
    "`Cache-Control: no-cache` from a client": requested,
    "a streamed response": streams,
    "the origin fails after the lifetime": stale,
    "read after an edit": edits,
    "read after an edit during a fill": races,
}
