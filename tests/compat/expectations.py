"""What holds for every framework on every server: one table, for a shop that is served.

Each function is a row; its name in `TABLE` is what apps and servers name in their `LACKS`.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from tests.compat import shop
from tests.compat.serving import Site, is_hit, status
from tests.patience import wait_for

AT_ONCE = 20


def hit_after_miss(site: Site) -> None:
    """The second answer is the first one, and the application was asked once."""
    first, second = site.get("/items/1"), site.get("/items/1")

    assert (first.status_code, second.status_code) == (200, 200)
    assert not is_hit(first)
    assert is_hit(second), status(second)
    assert first.json() == second.json() == {"id": 1, "run": 1}
    assert second.headers["x-own"] == "1"
    assert second.headers["content-type"] == first.headers["content-type"]
    assert site.noted("item-1") == 1


def head(site: Site) -> None:
    """HEAD has the fields of GET and no content; the cache answers it from what GET has stored."""
    got = site.get("/items/2")
    wait_for(lambda: is_hit(site.get("/items/2")))
    reply = site.client.head("/items/2")

    assert (reply.status_code, reply.content) == (200, b"")
    assert is_hit(reply), status(reply)
    assert reply.headers["content-length"] == str(len(got.content))
    assert site.noted("item-2") == 1


def not_modified(site: Site) -> None:
    """A hit has an `ETag`, and who sends it back gets 304 without content."""
    site.get("/items/3")
    etag = site.get("/items/3").headers["etag"]
    reply = site.get("/items/3", if_none_match=etag)
    other = site.get("/items/3", if_none_match='"other"')

    assert (reply.status_code, reply.content) == (304, b"")
    assert reply.headers["etag"] == etag
    assert other.status_code == 200
    assert site.noted("item-3") == 1


def range_of_a_hit(site: Site) -> None:
    """A part of what is stored, whatever the framework knows of ranges."""
    whole = site.get("/items/4")
    site.get("/items/4")
    part = site.get("/items/4", range="bytes=2-4")

    assert part.status_code == 206
    assert part.content == whole.content[2:5]
    assert part.headers["content-range"] == f"bytes 2-4/{len(whole.content)}"
    assert site.noted("item-4") == 1


def own_range(site: Site) -> None:
    """The framework's own 206 for a file is right with the cache, before and after it stored."""
    before = site.get("/file", range="bytes=2-4")
    whole = site.get("/file")
    site.get("/file")
    after = site.get("/file", range="bytes=2-4")

    assert whole.content == shop.CONTENT
    for part in (before, after):
        assert (part.status_code, part.content) == (206, b"234"), status(part)
        assert part.headers["content-range"] == "bytes 2-4/10"


def cookie(site: Site) -> None:
    """A response that sets a cookie reaches its client, and is not stored."""
    first, second = site.get("/cookie"), site.get("/cookie")

    assert "visitor=1" in first.headers["set-cookie"]
    assert "visitor=1" in second.headers["set-cookie"]
    assert (first.json()["run"], second.json()["run"]) == (1, 2)


def authorization(site: Site) -> None:
    """A request with credentials is answered by the application, and its answer is not shared."""
    site.get("/items/5")
    wait_for(lambda: is_hit(site.get("/items/5")))
    own = site.get("/items/5", authorization="Bearer a")

    assert own.json()["run"] == 2
    assert "fwd=bypass" in status(own)
    assert site.get("/items/5").json()["run"] == 1


def drop_by_path(site: Site) -> None:
    """A change by PUT is in force when its response is here."""
    site.get("/items/6")
    wait_for(lambda: is_hit(site.get("/items/6")))
    assert site.client.put("/items/6").status_code == 200

    assert site.get("/items/6").json()["run"] == 2
    wait_for(lambda: is_hit(site.get("/items/6")))


def drop_by_tag(site: Site) -> None:
    """A tag that is dropped takes all its responses along, in the worker that was asked at once."""
    for number in (7, 8):
        site.get(f"/items/{number}")
        wait_for(lambda: is_hit(site.get(f"/items/{number}")))  # noqa: B023
    assert site.client.put("/tags/items").json() == {"dropped": "items"}

    assert [site.get(f"/items/{number}").json()["run"] for number in (7, 8)] == [2, 2]


def drop_in_all_workers(site: Site) -> None:
    """A change that one worker makes holds in each of them."""
    clients = [site.connect() for _ in range(8)]
    try:
        for client in clients:
            wait_for(lambda: is_hit(client.get("/items/9")))  # noqa: B023
        runs = site.noted("item-9")
        clients[0].put("/items/9")
        for client in clients:
            wait_for(lambda: client.get("/items/9").json()["run"] > runs)  # noqa: B023
    finally:
        for client in clients:
            client.close()


def stream(site: Site) -> None:
    """The first part is here while the application has not made the last."""
    with site.client.stream("GET", "/stream") as reply:
        parts = reply.iter_text()
        first = next(part for part in parts if part)
        shop.open_gate("stream")
        rest = "".join(parts)

    assert reply.status_code == 200
    assert first.startswith(shop.PARTS[0])
    assert first + rest == "".join(shop.PARTS)


def background(site: Site) -> None:
    """The client does not wait for work after the response, and a hit does none."""
    first = site.get("/background")
    assert first.status_code == 200
    assert site.noted("worked") == 0
    shop.open_gate("background")
    wait_for(lambda: site.noted("worked") == 1)
    wait_for(lambda: is_hit(site.get("/background")))

    assert site.noted("background") == site.noted("worked") == 1


def not_found(site: Site) -> None:
    """A 404 is the framework's, and not stored."""
    replies = [site.get("/missing/1") for _ in range(2)]

    assert [reply.status_code for reply in replies] == [404, 404]
    assert not any(map(is_hit, replies))
    assert site.noted("missing") == 2


def error(site: Site) -> None:
    """An exception is a 500, each time, and the process goes on."""
    for run in (1, 2):  # uvicorn closes the connection after an exception
        with site.connect() as client:
            assert client.get("/error").status_code == 500
        assert site.noted("error") == run
    assert site.get("/items/10").status_code == 200


def echo(site: Site) -> None:
    """The content of a POST reaches the application whole, and it is not stored."""
    content = b"x" * 200_000
    replies = [site.client.post("/echo", content=content) for _ in range(2)]

    assert all(reply.content == content for reply in replies), replies
    assert not any(map(is_hit, replies))


def websocket(site: Site) -> None:
    """It is the framework's, from its opening to its close."""
    with connect(f"ws://localhost:{site.port}/socket", proxy=None) as socket:
        socket.send("hello")
        assert socket.recv(timeout=60) == "hello"
        with pytest.raises(ConnectionClosedOK):
            socket.recv(timeout=60)


def coalescing(site: Site) -> None:
    """Concurrent requests for what is not stored are one run, or one in each worker."""
    begun = threading.Barrier(AT_ONCE + 1)

    def ask(_: int) -> httpx.Response:
        with site.connect() as client:
            begun.wait(60)
            return client.get("/slow")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = pool.map(ask, range(AT_ONCE))
        begun.wait(60)
        wait_for(lambda: site.noted("slow") >= 1)
        shop.open_gate("slow")
        answers = [reply.json() for reply in replies]

    assert len(answers) == AT_ONCE
    assert 1 <= site.noted("slow") <= site.server.workers


def start_and_close(site: Site) -> None:
    """The application's own start and close run once in each worker; nothing is left unsaid."""
    wait_for(lambda: site.noted("started") >= 1)
    said = site.stop()

    assert site.noted("started") == site.noted("closed") == site.server.workers, said
    assert said.count("Traceback") == said.count("ShopError: sold out"), said


TABLE: dict[str, Callable[[Site], Any]] = {
    "hit after miss": hit_after_miss,
    "HEAD": head,
    "304 by ETag": not_modified,
    "range of a hit": range_of_a_hit,
    "its own ranges": own_range,
    "Set-Cookie not stored": cookie,
    "Authorization asks the application": authorization,
    "PUT drops its path": drop_by_path,
    "a tag is dropped": drop_by_tag,
    "a drop holds in all workers": drop_in_all_workers,
    "stream passes through": stream,
    "work after the response": background,
    "404 not stored": not_found,
    "exception": error,
    "POST": echo,
    "websocket": websocket,
    "coalescing": coalescing,
    "start and close": start_and_close,
}
"""The rows. The last one ends the server."""
