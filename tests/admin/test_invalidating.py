"""What is dropped by hand: how it is written, counted, sent, and told."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI

from asgi_multitier import CacheManager, CacheMiddleware, Rule, cached
from asgi_multitier.admin import walking
from asgi_multitier.admin.wanted import MAX_NAMED, wanted
from asgi_multitier.entry import LEFT, Born, Slot
from asgi_multitier.errors import InvalidationError
from tests.admin.support import OPERATOR, VIEWER, Person, made
from tests.patience import until
from tests.support import Client, settled

ROUTES = ("/users/{name}", "/users/{name}/pictures")


def shop(manager: CacheManager, prefix: str = "") -> FastAPI:
    """An application with an admin application in it, and rules that would cache and drop it."""
    app = FastAPI(root_path=prefix)
    app.add_middleware(CacheMiddleware, cache=manager, rules=[Rule("*", 60)])
    app.mount("/_cache", manager.admin(OPERATOR, VIEWER))

    @app.get(ROUTES[0], name="user")
    @cached(60, tags=["user:{name}", "users"], key="u-{name}")
    async def user(name: str) -> str:
        return name

    @app.get(ROUTES[1])
    @cached(60)
    async def pictures(name: str) -> str:
        return name

    return app


PAGES = ("/users/zoe", "/users/bob", "/users/zoe/pictures", "/users/bob/pictures")


async def _left(client: Client) -> set[str]:
    """Which pages are answered without the application."""
    return {page for page in PAGES if (await client.get(page)).hit}


@pytest.mark.parametrize(
    ("named", "dropped", "selectors"),
    [
        ({"tags": ["user:zoe"]}, {0}, 1),
        ({"tags": ["users"]}, {0, 1}, 1),
        ({"keys": ["u-bob"]}, {1}, 1),
        ({"keys": ["value"]}, set(), 1),
        ({"paths": ["/users/zoe"]}, {0}, 1),
        ({"paths": ["/users/%7Aoe"]}, {0}, 2),
        ({"below": ["/users/zoe"]}, {0, 2}, 1),
        ({"below": ["/"]}, {0, 1, 2, 3}, 1),
        ({"patterns": ["*/pictures"]}, {2, 3}, 1),
        ({"routes": ["user"]}, {0, 1}, 1),
        ({"routes": [ROUTES[1]]}, {2, 3}, 1),
        ({"routes": [{"name": "user", "params": {"name": "zoe"}}]}, {0}, 1),
        ({"all": True, "confirm": "shop"}, {0, 1, 2, 3}, 1),
        ({"tags": ["user:zoe"], "paths": ["/users/bob"]}, {0, 1}, 2),
        ({"tags": ["user:zoe", "user:zoe"]}, {0}, 1),
        ({"tags": ["nothing"]}, set(), 1),
    ],
)
async def test_what_is_counted_is_dropped(
    named: dict[str, Any], dropped: set[int], selectors: int
) -> None:
    """The count of a dry run is that of what the same request then drops."""
    async with made() as manager:
        app = shop(manager)
        client, operator = Client(app), Person(app, prefix="/_cache")
        await manager.set("value", 1, 60)
        for page in PAGES:
            await client.get(page)
        before = await _left(client)
        counted = await operator.post("/api/invalidate", {**named, "dry_run": True})
        untouched = await _left(client)
        done = await operator.post("/api/invalidate", {**named, "dry_run": False})
        left = await _left(client)

    values = int("all" in named or named == {"keys": ["value"]})
    assert before == untouched == set(PAGES)
    assert left == {page for number, page in enumerate(PAGES) if number not in dropped}
    assert counted["here"]["entries"] == len(dropped) + values
    assert (counted["here"]["bytes"] > 0) == (counted["here"]["entries"] > 0)
    assert len(counted["selectors"]) == len(done["selectors"]) == selectors
    assert (counted["dry_run"], done["dry_run"]) == (True, False)
    assert (done["committed"], done["queued"]) == (True, False)
    assert done["position"]["seq"] == 1


@pytest.mark.parametrize(
    ("named", "dry"),
    [
        ({"tags": ["a"]}, False),
        ({"keys": ["a"], "paths": ["/a"]}, False),
        ({"below": ["/a"]}, True),
        ({"patterns": ["/a*"]}, True),
        ({"routes": ["user"]}, True),
        ({"all": True, "confirm": "shop"}, True),
        ({"tags": ["a"], "patterns": ["/a*"]}, True),
        ({"tags": ["a"], "patterns": [], "all": False}, False),
    ],
)
async def test_what_is_broad_is_counted_first(named: dict[str, Any], dry: bool) -> None:
    """Unless it says `dry_run: false`."""
    async with made() as manager:
        app = shop(manager)
        await Client(app).get("/users/zoe")
        found = await Person(app, prefix="/_cache").post("/api/invalidate", named)

    assert found["dry_run"] is dry


async def test_what_matches_nothing_is_named() -> None:
    """It may be misspelt."""
    async with made() as manager:
        app = shop(manager)
        await Client(app).get("/users/zoe")
        body = {
            "tags": ["user:zoe", "usr:zoe"],
            "keys": ["u-zoe", "u-eve"],
            "paths": ["/users/zoe", "/user/zoe"],
            "dry_run": True,
        }
        found = await Person(app, prefix="/_cache").post("/api/invalidate", body)

    assert sorted((item["kind"], item["text"]) for item in found["unmatched"]) == [
        ("key", "u-eve"),
        ("path", "/user/zoe"),
        ("tag", "usr:zoe"),
    ]


UNMATCHED = (
    ("misspelt", {"tags": ["user:zoe", "usr:zoe"]}, [{"kind": "tag", "text": "usr:zoe"}]),
    ("all there", {"tags": ["user:zoe"], "keys": ["u-zoe"]}, []),
    ("broad", {"patterns": ["/nothing*"], "dry_run": False}, []),
    ("everything, and more", {"all": True, "confirm": "shop", "keys": ["u-zoe"]}, []),
)


@pytest.mark.parametrize(
    ("named", "unmatched"), [row[1:] for row in UNMATCHED], ids=[row[0] for row in UNMATCHED]
)
async def test_a_drop_names_what_matched_nothing(
    named: dict[str, Any], unmatched: list[dict[str, str]]
) -> None:
    """Of what was held before, also if it was dropped before and its place is not needed yet."""
    async with made() as manager:
        app = shop(manager)
        await Client(app).get("/users/zoe")
        person = Person(app, prefix="/_cache")
        found = [await person.post("/api/invalidate", {"dry_run": False, **named})]
        if "all" not in named:
            found.append(await person.post("/api/invalidate", {"dry_run": False, **named}))

    assert [one["unmatched"] for one in found] == [unmatched] * len(found)
    assert all(one["committed"] for one in found)


async def test_a_drop_does_not_depend_on_what_it_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others list, or the tier cannot, it is dropped all the same."""
    async with made() as manager:
        app = shop(manager)
        await Client(app).get("/users/zoe")
        person = Person(app, prefix="/_cache")
        with monkeypatch.context() as patch:
            patch.setattr(walking, "MAX_WALKS", 0)
            busy = await person.post("/api/invalidate", {"tags": ["usr:zoe"]})
        monkeypatch.setattr(manager.engine.stack, "local", SimpleNamespace())
        silent = await person.post("/api/invalidate", {"tags": ["usr:zoe"]})
        monkeypatch.undo()

    assert (busy["committed"], busy["unmatched"]) == (True, None)
    assert (silent["committed"], silent["unmatched"]) == (True, None)


async def test_a_walk_skips_what_has_left() -> None:
    """It is held no more."""
    async with made() as manager:
        await manager.set("value", 1, 60)
        slots = manager.engine.stack.local.slots()  # type: ignore[attr-defined]
        looked: list[Slot] = []

        def look(slot: Slot) -> bool:
            looked.append(slot)
            return True

        before = await walking.walk(slots, 0, look), len(looked)
        slots[0].view = LEFT
        after = await walking.walk(slots, 0, look), len(looked)

    assert before == after == (1, 1)


async def test_what_is_invalid_already_is_not_counted() -> None:
    """It lies in memory until its place is needed."""
    async with made() as manager:
        app = shop(manager)
        await Client(app).get("/users/zoe")
        await manager.invalidate_tags("user:zoe")
        found = await Person(app, prefix="/_cache").post(
            "/api/invalidate", {"tags": ["users"], "dry_run": True}
        )

    assert found["here"] == {"entries": 0, "bytes": 0}


WRONG = [
    ({}, ""),
    ({"tags": []}, ""),
    ({"tags": "a"}, "tags"),
    ({"tags": [""]}, "tags"),
    ({"tags": [5]}, "tags"),
    ({"tags": ["a" * 5_000]}, "tags"),
    ({"tags": ["\ud800"]}, ""),
    ({"keys": [None]}, "keys"),
    ({"keys": ["\x00r"]}, "keys"),
    ({"paths": ["users"]}, "paths"),
    ({"paths": ["/users?page=1"]}, "paths"),
    ({"below": ["users"]}, "below"),
    ({"patterns": ["*" * 9]}, "patterns"),
    ({"patterns": ["/" * 300]}, "patterns"),
    ({"routes": ["nothing"]}, "routes"),
    ({"routes": [{"name": "user", "params": {"id": "1"}}]}, "routes"),
    ({"routes": [{"name": "user", "other": 1}]}, "routes"),
    ({"routes": [{"params": {}}]}, "routes"),
    ({"routes": [{"name": "user", "params": []}]}, "routes"),
    ({"routes": [{"name": "user", "params": {"name": ["a"]}}]}, "routes"),
    ({"routes": [5]}, "routes"),
    ({"all": True}, "confirm"),
    ({"all": True, "confirm": "Shop"}, "confirm"),
    ({"all": "yes"}, "all"),
    ({"all": 1, "confirm": "shop"}, "all"),
    ({"tags": ["a"], "dry_run": "false"}, "dry_run"),
    ({"tags": ["a"], "dry_run": 0}, "dry_run"),
    ({"tags": ["a"], "settle": -1}, "settle"),
    ({"tags": ["a"], "settle": "1"}, "settle"),
    ({"tags": ["a"], "settle": True}, "settle"),
    ({"tags": ["a"], "wait": 11}, "wait"),
    ({"tags": ["a"], "tag": ["b"]}, "tag"),
    ({"tags": ["a"] * (MAX_NAMED + 1)}, ""),
]


async def test_what_is_wrong_is_named() -> None:
    """With what is allowed; nothing is dropped then."""
    async with made() as manager:
        app = shop(manager)
        await Client(app).get("/users/zoe")
        operator = Person(app, prefix="/_cache")
        problems = [await operator.post("/api/invalidate", body, 422) for body, _ in WRONG]

        assert manager.invalidation_stats().received == 0
    for problem, (body, field) in zip(problems, WRONG, strict=True):
        assert problem["field"] == field, body
        assert problem["detail"]


async def test_it_is_the_one_grammar_of_all_doors() -> None:
    """What a script writes means the same as what is sent."""
    async with made() as manager:
        await Client(shop(manager)).get("/users/zoe")
        for given, call in [
            ({"paths": ["/users/%7Aoe"]}, lambda: manager.named(paths=["/users/%7Aoe"])),
            ({"routes": ["user"]}, lambda: manager.named(routes=[("user", {})])),
            ({"patterns": ["/a?"]}, lambda: manager.named(patterns=["/a?"])),
        ]:
            assert list(wanted(given, manager).selectors) == call()
        with pytest.raises(InvalidationError):
            manager.named(routes=[("nothing", {})])


async def test_a_request_is_one_record() -> None:
    """Nothing is dropped because of its URL, nor once more at its end."""
    async with made() as manager:
        app = shop(manager)
        client, operator = Client(app), Person(app, prefix="/_cache")
        await client.get("/users/zoe")
        await operator.post("/api/invalidate", {"tags": ["other"]})
        await operator.post("/api/mode", {"mode": "on"})
        await operator.post("/api/invalidate", {"tags": ["a"], "dry_run": True})
        await settled()
        stats = manager.invalidation_stats()
        counted = manager.stats().invalidations

    assert (stats.sent, stats.applied) == (1, {"tag": 1})
    assert counted == {"manager": {"admin": 1}}


_request: ContextVar[str] = ContextVar("request")


async def test_it_goes_on_when_the_client_leaves() -> None:
    """What was asked for is done, and not in the context of the request."""
    async with made() as manager:
        app = manager.admin(OPERATOR)
        gate, written = asyncio.Event(), []
        _request.set("of a user")
        commit = manager.engine.log.commit

        async def slowly(operation: Any) -> Born | None:
            await gate.wait()
            written.append(_request.get(""))
            return await commit(operation)

        manager.engine.log.commit = slowly  # type: ignore[method-assign]
        task = asyncio.create_task(
            Person(app).reply("POST", "/api/invalidate", body={"tags": ["a"]})
        )
        await until(lambda: manager.engine.index.fence)
        task.cancel()
        await asyncio.wait({task})
        gate.set()
        await settled()

        assert manager.invalidation_stats().applied == {"tag": 1}
    assert written == [""]


async def test_what_waits_to_be_sent_is_no_success() -> None:
    """It is in force here, and the others are told later."""
    async with made() as manager:
        await manager.set("a", 1, 60, tags=["a"])

        async def away(operation: Any) -> None:
            return None

        manager.engine.log.commit = away  # type: ignore[method-assign]
        app = manager.admin(OPERATOR)
        found = await Person(app).post("/api/invalidate", {"tags": ["a"]}, 503)
        gone = await manager.get("a")

    assert (found["committed"], found["queued"], found["position"]) == (False, True, None)
    assert gone is None


async def test_everything_leaves_memory() -> None:
    """Not only when its place is needed."""
    async with made() as manager:
        await manager.set("a", 1, 60)
        body = {"all": True, "confirm": "shop", "dry_run": False}
        await Person(manager.admin(OPERATOR)).post("/api/invalidate", body)

        assert len(manager.engine.stack.local) == 0


async def test_an_act_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """By whom and from where, and no value."""
    caplog.set_level(logging.INFO, "asgi_multitier")
    async with made() as manager:
        operator = Person(manager.admin(OPERATOR))
        listener = manager.engine.events.live.listen()
        body = {"tags": ["user:zoe", "user:bob"], "keys": ["secret"]}
        await operator.post("/api/invalidate", {**body, "dry_run": True})
        await operator.post("/api/invalidate", body)
        await operator.post("/api/mode", {"mode": "off"})
        events, _ = listener.take()

    lines = [line.getMessage() for line in caplog.records if "admin.act" in line.getMessage()]
    assert lines == [
        "admin.act: invalidate 3 selectors (key, tag), by operator at 127.0.0.1",
        "admin.act: mode off, by operator at 127.0.0.1",
    ]
    acts = [event for event in events if event["kind"] == "act"]
    assert [(act["what"], act["right"]) for act in acts] == [
        ("invalidate 3 selectors (key, tag)", "operator"),
        ("mode off", "operator"),
    ]
    assert "zoe" not in caplog.text + json.dumps(acts)
    assert "secret" not in caplog.text


async def test_a_program_that_means_an_application_says_which() -> None:
    """As for calls of the manager: a cache without a name drops nothing."""
    async with CacheManager(redis_url=None, namespace=None) as manager:
        manager._backends.namespaces = _others  # type: ignore[method-assign]
        problem = await Person(manager.admin(OPERATOR)).post(
            "/api/invalidate", {"tags": ["a"]}, 422
        )

    assert "CacheManager.of" in problem["detail"]


async def _others() -> set[str]:
    return {"shop"}


# The other workers of the machine.


@asynccontextmanager
async def worker(*tags: str) -> AsyncIterator[CacheManager]:
    """One that others can ask, with an entry for each tag."""
    manager = made()
    manager.workers.is_wanted = True
    async with manager:
        await until(lambda: manager.workers.number is not None)
        for tag in tags:
            await manager.set(tag, 1, 60, tags=[tag])
        yield manager


async def test_a_dry_run_counts_what_other_workers_hold() -> None:
    """If it is asked to; what one of them holds is matched, and nothing is dropped anywhere."""
    async with worker("a") as one, worker("a", "b") as other:
        person = Person(one.admin(OPERATOR))
        body = {"tags": ["a", "b", "c"], "dry_run": True}
        here = await person.post("/api/invalidate", body)
        told = await person.post("/api/invalidate", body | {"scope": "host"})
        await person.post("/api/invalidate", body | {"scope": "fleet"}, 422)
        left = [await other.get(key) for key in ("a", "b")]

    assert (here["here"]["entries"], "host" in here, len(here["unmatched"])) == (1, False, 2)
    assert (told["here"]["entries"], told["host"]["entries"], left) == (1, 3, [1, 1])
    assert told["host"]["bytes"] > told["here"]["bytes"]
    assert told["host"]["workers"] == [{"worker": n, "missing": ""} for n in (0, 1)]
    assert told["unmatched"] == [{"kind": "tag", "text": "c"}]


ODD: tuple[Any, ...] = (
    None,
    {"status": 503, "value": {"detail": "others are listing"}},
    {"status": 200, "value": {"here": 5, "unmatched": []}},
    {"status": 200, "value": {"here": {"entries": 1, "bytes": None}, "unmatched": []}},
    {"status": 200, "value": {"here": {"entries": 1, "bytes": 1}}},
)


@pytest.mark.parametrize("answer", ODD)
async def test_a_worker_that_does_not_count_is_missing(answer: Any) -> None:
    """The others' sum stands."""

    async def odd(asked: dict[str, Any]) -> Any:
        return answer

    async with worker("a") as one, worker("a") as other:
        other.workers.answers("admin", odd)
        body = {"tags": ["a"], "dry_run": True, "scope": "host"}
        told = await Person(one.admin(OPERATOR)).post("/api/invalidate", body)

    assert told["host"]["entries"] == 1
    assert [one["missing"] for one in told["host"]["workers"]] == ["", "failed"]


async def test_a_drop_is_not_sent_to_other_workers() -> None:
    """The log does that. Nor is a count, where workers are switched off."""
    async with worker("a") as one, worker("a") as other, made(workers=False) as program:
        counting = {"tags": ["a"], "scope": "host", "dry_run": True}
        alone = await Person(program.admin(OPERATOR)).post("/api/invalidate", counting)
        body = {"tags": ["a"], "scope": "host"}
        told = await Person(one.admin(OPERATOR)).post("/api/invalidate", body)
        assert await other.get("a") == 1

    assert (told["committed"], "host" in told, "host" in alone) == (True, False, False)
