"""What other parts of a cache tell: statistics, hot keys, all instances, and explanations."""

from typing import Any

import pytest

from asgi_multitier.entry import Born
from asgi_multitier.testing import FakeClock
from tests.admin.support import OPERATOR, VIEWER, Person, made
from tests.admin.test_entries import shop


@pytest.mark.parametrize("scope", ["process", "host"])
async def test_statistics_are_those_of_the_cache(scope: str) -> None:
    """Of this process, or of all workers of its machine; of all routes, or of one."""
    async with made() as manager:
        client = shop(manager)
        for _ in range(3):
            await client.get("/users/zoe")
        person = Person(manager.admin(OPERATOR, VIEWER), VIEWER)
        found = await person.get(f"/api/stats?scope={scope}")
        other = await person.get(f"/api/stats?scope={scope}&route=/nothing")

    assert (found["scope"], found["namespace"]) == (scope, "shop")
    assert [(row["route"], row["requests"]) for row in found["routes"]] == [("/users/{name}", 3)]
    assert found["total"]["hits"] == {"1": 2}
    assert other["routes"] == []


async def test_hot_keys_are_digests_unless_all_is_shown() -> None:
    """Which may name users."""
    async with made() as manager:
        client = shop(manager)
        app = manager.admin(OPERATOR, VIEWER)
        operator, viewer = Person(app), Person(app, VIEWER)
        await viewer.get("/api/hot")  # looking begins
        for _ in range(50):
            await client.get("/users/zoe")
            manager.metrics.hot()
        for scope in ("process", "host"):
            found = await viewer.get(f"/api/hot?scope={scope}&limit=5")
            shown = await operator.get(f"/api/hot?scope={scope}&reveal=1")
            assert {key["path"] for key in found["keys"]} <= {None}
            assert {key["path"] for key in shown["keys"]} <= {"/users/zoe"}
        await viewer.get("/api/hot?reveal=1", 403)


async def test_routes_are_shown_with_what_is_odd() -> None:
    """By templates alone."""
    async with made() as manager:
        client = shop(manager)
        person = Person(manager.admin(OPERATOR, VIEWER), VIEWER)
        before = await person.get("/api/routes")
        await client.get("/users/zoe")
        found = await person.get("/api/routes")

    assert before == {"routes": [], "findings": []}
    rows = {row["route"]: row for row in found["routes"]}
    assert rows["/users/{name}"]["lifetime"] == 60
    assert rows["/users/{name}"]["tags"] == ["user:{name}", "users"]
    assert isinstance(found["findings"], list)
    assert "zoe" not in str(found)


async def test_all_instances_are_shown() -> None:
    """This one at least."""
    async with made() as manager:
        found = await Person(manager.admin(OPERATOR)).get("/api/fleet")

    assert [instance["self"] for instance in found["instances"]] == [True]


@pytest.mark.parametrize(
    ("wait", "committed", "asked"),
    [(0, True, []), (2, True, [2.0]), (0.5, True, [0.5]), (2, False, [])],
)
async def test_an_invalidation_waits_until_it_is_seen(
    wait: float, committed: bool, asked: list[float]
) -> None:
    """Only where that is wanted, and there is something to be seen."""
    waited: list[float] = []

    class Seen:
        def as_json(self) -> dict[str, Any]:
            return {"by": 4, "of": 4}

    async def seen(position: Born | None, wait: float) -> Seen:
        assert position is not None
        assert position.seq == 1
        waited.append(wait)
        return Seen()

    async with made() as manager:
        manager.seen = seen  # type: ignore[method-assign, assignment]
        if not committed:
            manager.engine.log.commit = _away  # type: ignore[method-assign]
        body = {"tags": ["a"], "wait": wait}
        status = 200 if committed else 503
        found = await Person(manager.admin(OPERATOR)).post("/api/invalidate", body, status)

    assert waited == asked
    assert found["seen"] == ({"by": 4, "of": 4} if asked else None)


async def _away(operation: Any) -> None:
    return None


async def test_one_process_sees_what_it_drops() -> None:
    """By the manager's own answer."""
    async with made() as manager:
        body = {"tags": ["a"], "wait": 1}
        found = await Person(manager.admin(OPERATOR)).post("/api/invalidate", body)

    assert (found["seen"]["by"], found["seen"]["of"]) == (1, 1)


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_request_is_explained(read_only: bool) -> None:
    """Nothing is changed by that, so it is there where nothing may be changed."""
    async with made() as manager:
        client = shop(manager)
        await client.get("/users/zoe")
        person = Person(manager.admin(OPERATOR, read_only=read_only))
        hit = await person.post("/api/explain", {"url": "/users/zoe"})
        shown = await person.post("/api/explain", {"url": "/users/zoe", "reveal": True})
        bypass = await person.post(
            "/api/explain", {"url": "/users/zoe", "headers": {"Authorization": "Bearer x"}}
        )
        pairs = await person.post(
            "/api/explain", {"url": "/users/zoe", "headers": [["authorization", "Bearer x"]]}
        )
        change = await person.post(
            "/api/explain", {"url": "/users/zoe", "method": "DELETE", "body": "{}"}
        )
        listed = await person.get("/api/entries")

    assert (hit["verdict"], hit["rule"]["route"]) == ("hit", "/users/{name}")
    assert hit["key"]["digest"] == listed["entries"][0]["key"]
    assert "zoe" not in str(hit)
    assert "user:zoe" in shown["tags"]
    assert bypass == pairs
    assert (bypass["verdict"], bypass["reason"]) == ("bypass", "authorization")
    assert change["verdict"] in ("change", "bypass")
    assert len(listed["entries"]) == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"method": 5}, "method"),
    ({"url": ["/"]}, "url"),
    ({"headers": "a: b"}, "headers"),
    ({"headers": [["a"]]}, "headers"),
    ({"headers": ["ab"]}, "headers"),
    ({"headers": {"a": 1}}, "headers"),
    ({"headers": [["a", None]]}, "headers"),
    ({"body": {"a": 1}}, "body"),
    ({"shared": "yes"}, "shared"),
    ({"reveal": 1}, "reveal"),
    ({"run_callables": "no"}, "run_callables"),
    ({"uri": "/"}, "uri"),
    ({"url": "ftp://example.org/"}, ""),
    ({"method": "G T"}, ""),
    ({"headers": {"a b": "c"}}, ""),
    ({"headers": {"a": "b\r\nc: d"}}, ""),
]


async def test_what_is_no_request_is_not_explained() -> None:
    """What is wrong is named."""
    async with made() as manager:
        shop(manager)
        operator = Person(manager.admin(OPERATOR))
        problems = [await operator.post("/api/explain", body, 422) for body, _ in WRONG]

    for problem, (body, field) in zip(problems, WRONG, strict=True):
        assert problem["field"] == field, body
        assert problem["detail"]


async def test_an_explanation_and_a_list_say_the_same_of_an_entry() -> None:
    """One word for each state."""
    clock = FakeClock()
    said = []
    async with made(clock=clock, wall=clock) as manager:
        client = shop(manager)
        person = Person(manager.admin(OPERATOR))
        for seconds, tags in ((0, []), (0, ["user:zoe"]), (60, [])):
            await client.get("/users/zoe")
            await manager.invalidate_tags(*tags)
            clock.advance(seconds)
            (row,) = (await person.get("/api/entries?kind=response"))["entries"]
            found = await person.post("/api/explain", {"url": "/users/zoe"})
            said.append([row["state"], *(entry["state"] for entry in found["entries"])])

    assert said == [["fresh"] * 2, ["dropped"] * 2, ["expired"] * 2]
