"""What is listed of what is held, what is left out, and that others run meanwhile."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Response

from asgi_multitier import CacheManager, CacheMiddleware, MemoryTier, cached
from asgi_multitier.admin import walking
from asgi_multitier.entry import Born, Entry, Slot
from asgi_multitier.policy.key import storage_key
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.null import NullLocalTier
from tests.admin.support import OPERATOR, VIEWER, Person, made, read
from tests.patience import until
from tests.support import Client

FIELDS = {
    "key", "kind", "route", "status", "size", "age", "ttl", "keep", "uses", "state", "tags", "path",
    "name",
}  # fmt: skip


def shop(manager: CacheManager) -> Client:
    """An application with a few routes."""
    app = FastAPI()
    app.add_middleware(CacheMiddleware, cache=manager)

    @app.get("/users/{name}")
    @cached(60, tags=["user:{name}", "users"], key="named-{name}")
    async def user(name: str, response: Response) -> str:
        response.headers["x-private"] = f"of {name}"
        return f"secret of {name}"

    @app.get("/prices/{number}")
    @cached(300)
    async def price(number: int) -> int:
        return number

    return Client(app)


@asynccontextmanager
async def filled(**settings: Any) -> AsyncIterator[tuple[CacheManager, FakeClock]]:
    """A cache with two responses of users, three prices and a value."""
    clock = FakeClock()
    async with made(clock=clock, wall=clock, **settings) as manager:
        client = shop(manager)
        for name in ("zoe", "bob"):
            await client.get(f"/users/{name}")
        for number in range(3):
            await client.get(f"/prices/{number}")
        await manager.set("session:zoe", {"a": 1}, 30, tags=["session:zoe", "a" * 65 + ":b"])
        yield manager, clock


async def test_a_list_has_what_is_held_and_not_whose_it_is() -> None:
    """No path, name, key or value of a tag; no host, and no content."""
    async with filled() as (manager, clock):
        clock.advance(5)
        reply = await Person(manager.admin(OPERATOR)).reply("GET", "/api/entries")
        found = read(reply, 200)

    assert reply.get("content-type") == b"application/json"
    rows = found["entries"]
    assert {frozenset(row) for row in rows} == {frozenset(FIELDS)}
    assert (found["scanned"], found["total"], found["cursor"], found["complete"]) == (
        6,
        6,
        None,
        True,
    )
    assert [(row["kind"], row["route"], row["status"]) for row in rows] == [
        ("response", "/users/{name}", 200),
        ("response", "/users/{name}", 200),
        ("response", "/prices/{number}", 200),
        ("response", "/prices/{number}", 200),
        ("response", "/prices/{number}", 200),
        ("value", "manager", None),
    ]
    assert (rows[0]["age"], rows[0]["ttl"], rows[0]["state"]) == (5, 55, "fresh")
    assert [rows[0]["tags"], rows[5]["tags"]] == [["user:*", "*"], ["session:*", "*"]]
    for text in (b"zoe", b"bob", b"example.org", b"named", b"/users/z", b"secret"):
        assert text not in reply.body


async def test_an_operator_may_see_all_but_contents_and_keys() -> None:
    """With `reveal=1`."""
    async with filled() as (manager, _):
        found = await Person(manager.admin(OPERATOR)).get("/api/entries?reveal=1&limit=200")

    rows = found["entries"]
    assert [(row["path"], row["name"]) for row in rows][:3] == [
        ("/users/zoe", "named-zoe"),
        ("/users/bob", "named-bob"),
        ("/prices/0", None),
    ]
    assert rows[5]["name"] == "session:zoe"
    assert rows[0]["tags"] == ["user:zoe", "users"]
    assert rows[5]["key"] == storage_key("session:zoe")
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("kind=response", 5),
        ("kind=value", 1),
        ("kind=variants", 0),
        ("route=/users/{name}", 2),
        ("route=manager", 1),
        ("route=", 0),
        ("tag=users", 2),
        ("tag=user:zoe", 1),
        ("tag=user:*", 0),
        ("path=/prices/1", 1),
        ("glob=/prices/*", 3),
        ("glob=named-?oe", 1),
        ("glob=session:*", 1),
        ("kind=response&glob=*zoe", 1),
    ],
)
async def test_filters_leave_the_rest_out(query: str, count: int) -> None:
    """All of them have to fit."""
    async with filled() as (manager, _):
        found = await Person(manager.admin(OPERATOR)).get(f"/api/entries?{query}")

    assert len(found["entries"]) == count


def _entry(key: str, now: float) -> Entry:
    return Entry(
        key=key,
        payload=b"1",
        born=Born("", 0),
        created=now,
        fresh_until=now,
        keep_until=now,
        filled_at=now,
    )


async def test_states_say_whether_an_entry_may_be_used() -> None:
    """By its times, and by the log."""
    clock = FakeClock()
    async with made(clock=clock, wall=clock) as manager:
        await manager.set("fresh", 1, 100)
        await manager.set("stale", 1, 10, stale_while_revalidate=100)
        await manager.set("expired", 1, 10)
        await manager.set("dropped", 1, 100, tags=["t"])
        await manager.invalidate_tags("t")
        clock.advance(20)
        person = Person(manager.admin(OPERATOR))
        rows = (await person.get("/api/entries?reveal=1"))["entries"]
        counts = [
            len((await person.get(f"/api/entries?state={state}"))["entries"])
            for state in ("fresh", "stale", "expired", "dropped")
        ]

    assert {row["name"]: row["state"] for row in rows} == {
        name: name for name in ("fresh", "stale", "expired", "dropped")
    }
    assert counts == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("sort", "first"),
    [("size", "large"), ("age", "old"), ("ttl", "long"), ("uses", "used")],
)
async def test_the_largest_come_first(sort: str, first: str) -> None:
    """Of all, not only of those on a page."""
    clock = FakeClock()
    async with made(clock=clock, wall=clock) as manager:
        await manager.set("old", 1, 100)
        clock.advance(1)
        await manager.set("large", "x" * 10_000, 100)
        await manager.set("long", 1, 1_000)
        await manager.set("used", 1, 100)
        await manager.get("used")
        for number in range(20):
            await manager.set(f"{number}", 1, 50)
        person = Person(manager.admin(OPERATOR))
        found = await person.get(f"/api/entries?reveal=1&sort={sort}&limit=2")

    assert found["entries"][0]["name"] == first
    assert len(found["entries"]) == 2
    assert (found["scanned"], found["complete"], found["cursor"]) == (24, True, None)


async def test_pages_follow_each_other() -> None:
    """While entries come and go, each other entry is on one page."""
    async with made() as manager:
        for number in range(100):
            await manager.set(f"{number}", 1, 60)
        person = Person(manager.admin(OPERATOR))
        seen: list[str] = []
        cursor = ""
        for round_ in range(20):
            query = f"/api/entries?reveal=1&limit=10&cursor={cursor}"
            found = await person.get(query)
            seen += [row["name"] for row in found["entries"]]
            cursor = found["cursor"]
            if cursor is None:
                break
            await manager.invalidate(f"{round_}")  # before the place that was reached
            await manager.set(f"new {round_}", 1, 60)

    assert [name for name in seen if not name.startswith("new")] == [f"{n}" for n in range(100)]
    assert len(seen) == len(set(seen))


async def test_a_cursor_whose_entry_has_left_goes_on_near_by() -> None:
    """It ends in any case."""
    async with made() as manager:
        for number in range(10):
            await manager.set(f"{number}", 1, 60)
        person = Person(manager.admin(OPERATOR))
        cursor = (await person.get("/api/entries?limit=5"))["cursor"]
        for number in range(8):
            await manager.invalidate(f"{number}")
        found = await person.get(f"/api/entries?limit=5&cursor={cursor}")

    assert found["cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "-1", "5", "5-r:abc", "99999999999-" + "r:" + "0" * 32])
async def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    """The message names the parameter."""
    async with made() as manager:
        problem = await Person(manager.admin(OPERATOR)).get(f"/api/entries?cursor={cursor}", 422)

    assert problem["field"] == "cursor"


async def test_one_entry_in_detail() -> None:
    """Where it comes from, how long it lives, and what it is made of; of the content, the size."""
    async with filled() as (manager, clock):
        clock.advance(7)
        operator, viewer = (Person(manager.admin(OPERATOR, VIEWER), t) for t in (OPERATOR, VIEWER))
        key = (await operator.get("/api/entries?path=/users/zoe"))["entries"][0]["key"]
        reply = await viewer.reply("GET", f"/api/entries/{key}")
        found, shown = read(reply, 200), await operator.get(f"/api/entries/{key}?reveal=1")
        value = await operator.get(f"/api/entries/{storage_key('session:zoe')}")

    assert found["key"] == key
    assert (found["path"], found["name"], found["tags"]) == (None, None, ["user:*", "*"])
    assert (found["body"], found["fields"]) == ({"bytes": 15, "sha256": None}, {})
    assert (found["content_type"], found["valid"]) == ("application/json", True)
    assert "x-private" in found["headers"]
    assert found["born"].keys() == {"gen", "seq"} == found["log"].keys()
    assert (found["refresh_in"], found["age"], found["ttl"]) == (None, 7, 53)
    assert b"zoe" not in reply.body
    assert shown["path"] == "/users/zoe"
    assert shown["fields"]["content-type"] == "application/json"
    assert "x-private" not in shown["fields"]
    assert len(shown["body"]["sha256"]) == 64
    assert (value["kind"], value["headers"], value["content_type"]) == ("value", [], None)


async def test_variants_and_codings_are_named() -> None:
    """A URL with several representations leads to them."""
    async with made() as manager:
        app = FastAPI()
        app.add_middleware(CacheMiddleware, cache=manager)

        @app.get("/")
        @cached(60, compress=["gzip"])
        async def page(response: Response) -> str:
            response.headers["vary"] = "accept-language"
            return "x" * 5_000

        client = Client(app)
        for language in ("en", "de"):
            lines = [("accept-language", language), ("accept-encoding", "gzip")]
            for _ in range(2):
                await client.get("/", lines)
        await until(lambda: manager.stats().compression.made.get("gzip") == 2)
        person = Person(manager.admin(OPERATOR))
        rows = (await person.get("/api/entries"))["entries"]
        details = [await person.get(f"/api/entries/{row['key']}") for row in rows]

    marker = next(detail for detail in details if detail["kind"] == "variants")
    others = [detail for detail in details if detail["kind"] == "response"]
    assert marker["headers"] == ["accept-language"]
    assert {*marker["variants"]} == {detail["key"] for detail in others}
    assert [detail["codings"] for detail in others] == [["gzip"], ["gzip"]]


@pytest.mark.parametrize(
    "path",
    [
        "/api/entries/r:" + "0" * 32,
        "/api/entries/v:" + "0" * 31,
        "/api/entries/",
        "/api/entries/{}",
        "/api/{}",
        "/api/entries/R:" + "0" * 32,
        "/api/r:" + "0" * 32,
    ],
)
async def test_what_is_not_held_is_not_found(path: str) -> None:
    """And so is what is no digest."""
    async with made() as manager:
        await Person(manager.admin(OPERATOR)).get(path, 404)


async def test_markup_is_text() -> None:
    """In keys and tags, and bytes that are no text at all."""
    hostile = "<script>alert(1)</script>\n\x1b[2J\u2028\u202e"
    async with made() as manager:
        await manager.set(hostile, 1, 60, tags=[hostile])
        reply = await Person(manager.admin(OPERATOR)).reply("GET", "/api/entries?reveal=1")

    assert reply.get("content-type") == b"application/json"
    assert reply.get("x-content-type-options") == b"nosniff"
    assert reply.body.isascii()
    assert b"\n" not in reply.body
    assert read(reply, 200)["entries"][0]["name"] == hostile


async def test_a_lone_surrogate_in_a_path_is_shown() -> None:
    """A server may decode what was sent so."""
    clock = FakeClock()
    async with made(clock=clock) as manager:
        from msgspec.structs import replace

        entry = replace(_entry("k", clock()), path="/\udcff", keep_until=clock() + 9)
        manager.engine.stack.local.set(Slot(entry))
        found = await Person(manager.admin(OPERATOR)).get("/api/entries?reveal=1")

    assert found["entries"][0]["path"] == "/\udcff"


async def test_a_tier_that_cannot_tell_says_so() -> None:
    """It is no error of the server."""
    async with made(l1=NullLocalTier()) as manager:
        person = Person(manager.admin(OPERATOR))
        problem = await person.get("/api/entries", 501)
        counted = await person.post("/api/invalidate", {"tags": ["a"], "dry_run": True}, 501)

    assert "null" in problem["detail"]
    assert counted["status"] == 501


@pytest.mark.parametrize(
    "query", ["/api/entries?route=nothing", "/api/entries?sort=size", f"/api/entries/r:{'0' * 32}"]
)
async def test_others_run_while_many_entries_are_read(
    query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each few milliseconds of work, whatever waits has its turn."""
    readings = iter(range(10_000_000))
    monkeypatch.setattr(walking, "time", _Clock(lambda: next(readings) / 10_000))
    tier = MemoryTier(max_entries=20_000)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with made(l1=tier, l1_entries=20_000) as manager:
        now = manager.engine.clock()
        for number in range(10_000):
            tier.set(Slot(_entry(f"{number}", now + 60)))
        task = asyncio.create_task(other())
        reply = await Person(manager.admin(OPERATOR)).reply("GET", query)
        task.cancel()

    assert reply.status in (200, 404)
    assert turns > 20


class _Clock:
    """A module of which one function is replaced."""

    def __init__(self, perf_counter: Any) -> None:
        self.perf_counter = perf_counter
        self.monotonic = time.monotonic


async def test_few_walks_go_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds a list of all entries."""
    monkeypatch.setattr(walking, "_AT_A_TIME", 0.0)
    async with made() as manager:
        for number in range(100):
            await manager.set(f"{number}", 1, 60)
        person = Person(manager.admin(OPERATOR))
        replies = await asyncio.gather(
            *(person.reply("GET", "/api/entries?route=x") for _ in range(walking.MAX_WALKS + 2))
        )
        again = await person.reply("GET", "/api/entries")

    assert sorted(reply.status for reply in replies) == [200] * walking.MAX_WALKS + [503] * 2
    assert again.status == 200
    assert {reply.get("retry-after") for reply in replies} == {None, b"1"}


async def test_looking_counts_as_no_use() -> None:
    """What is listed leaves memory as if it had not been."""
    async with made() as manager:
        await manager.set("a", 1, 60)
        (slot,) = manager.engine.stack.local.slots()  # type: ignore[attr-defined]
        before = slot.uses
        person = Person(manager.admin(OPERATOR))
        for _ in range(3):
            rows = (await person.get("/api/entries?sort=uses&glob=a"))["entries"]
            await person.get(f"/api/entries/{rows[0]['key']}")

    assert rows[0]["uses"] == slot.uses == before
    assert manager.stats().requests == 0


async def test_what_leaves_while_the_list_is_read_is_not_listed() -> None:
    """Others run meanwhile, and may drop it."""

    class Leaving(MemoryTier):
        def slots(self) -> list[Slot]:
            found = super().slots()
            self.delete("b")
            return found

    async with made(l1=Leaving()) as manager:
        for name in "abc":
            await manager.set(name, 1, 60)
        found = await Person(manager.admin(OPERATOR)).get("/api/entries?reveal=1")

    assert found["total"] == 3
    assert [row["name"] for row in found["entries"]] == ["a", "c"]
