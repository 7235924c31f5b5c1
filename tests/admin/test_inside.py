"""The admin application asked in its own process, and over the sockets of workers."""

from typing import Any

import pytest

from asgi_multitier.admin.inside import QUESTION, Inside
from asgi_multitier.workers import Workers
from tests.admin.support import OPERATOR, Person, made
from tests.patience import PATIENCE, until

ASKED: tuple[tuple[str, str, dict[str, str], Any, int], ...] = (
    ("GET", "api", {}, None, 200),
    ("GET", "api/fleet", {}, None, 200),
    ("GET", "api/stats", {"scope": "host"}, None, 200),
    ("GET", "api/stats", {"scope": "process", "route": "/a"}, None, 200),
    ("GET", "api/stats", {"scope": "moon"}, None, 422),
    ("GET", "api/entries", {"limit": "1"}, None, 200),
    ("GET", "api/nothing", {}, None, 404),
    ("GET", "api/events", {}, None, 404),
    ("POST", "api/mode", {}, {"mode": "on"}, 200),
    ("POST", "api/invalidate", {}, {"tags": ["a"], "wait": 1}, 200),
    ("POST", "api/invalidate", {}, {}, 422),
)


@pytest.mark.parametrize(("method", "path", "query", "body", "status"), ASKED)
async def test_it_answers_as_an_operator_is_answered(
    method: str, path: str, query: dict[str, str], body: Any, status: int
) -> None:
    """With what the mounted one says, but for events."""
    async with made() as manager:
        found, value = await Inside(manager).ask(method, path, query, body)

    assert found == status
    assert isinstance(value, dict) is (path != "api/events")


async def test_what_is_no_json_is_nothing() -> None:
    """Such as the figures for a scrape."""
    async with made() as manager:
        assert await Inside(manager).ask("GET", "metrics") == (200, None)


async def test_events_until_they_are_left() -> None:
    """As they happen."""
    async with made() as manager:
        events = Inside(manager).events("flush")
        greeting = await anext(events)
        manager.engine.stack.flushed()
        event = await anext(events)
        await events.aclose()
        assert len(manager.engine.events.live) == 0

    assert "kinds" in greeting
    assert event["kind"] == "flush"


async def test_events_that_are_refused_end_at_once() -> None:
    """A kind that there is none of."""
    async with made() as manager:
        assert [event async for event in Inside(manager).events("moon")] == []


async def test_instances_and_who_has_seen() -> None:
    """What the calls of the manager say."""
    async with made() as manager:
        person = Person(manager.admin(OPERATOR))
        fleet = await person.get("/api/fleet")
        dropped = await person.post("/api/invalidate", {"tags": ["a"], "wait": 1})
        at_once = await person.post("/api/invalidate", {"tags": ["a"]})

    assert [one["self"] for one in fleet["instances"]] == [True]
    assert (dropped["seen"]["by"], dropped["seen"]["of"]) == (1, 1)
    assert at_once["seen"] is None


QUESTIONS: tuple[tuple[dict[str, Any], int | None], ...] = (
    ({"worker": 0, "method": "GET", "path": "api"}, 200),
    ({"worker": 0, "method": "POST", "path": "api/mode", "body": {"mode": "on"}}, 200),
    ({"worker": 0, "path": "api/entries", "query": {"limit": 1}, "body": "no object"}, 200),
    ({"worker": 0}, 404),
    ({"worker": 1, "path": "api"}, None),
    ({"path": "api"}, None),
    ({}, None),
)


@pytest.mark.parametrize(("question", "status"), QUESTIONS)
async def test_workers_are_asked(question: dict[str, Any], status: int | None) -> None:
    """The one that is meant answers, whatever is asked."""
    manager = made()
    manager.workers.is_wanted = True
    async with manager:
        await until(lambda: manager.workers.number is not None)
        asking = Workers(lambda: "shop", lambda what, error: None)
        answers = await asking.ask_all(QUESTION, question, PATIENCE)
        [answer] = [one for one in answers if one.worker == 0]

    assert answer.missing == ""
    assert (answer.value and answer.value["status"]) == status
