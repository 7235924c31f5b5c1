"""What shadow mode and audits have found, for viewers; and beginning again, for operators."""

import json
import logging
from typing import Any

import pytest

from asgi_multitier import CacheManager
from asgi_multitier.admin.reports import NOT_OBSERVED
from tests.admin.support import OPERATOR, VIEWER, Person, made
from tests.manager.test_report import observe, reachable


@pytest.mark.parametrize("scope", ["process", "host"])
async def test_a_viewer_reads_what_was_found(scope: str) -> None:
    """Of this process, or of all workers of its machine."""
    async with made() as manager:
        observe(manager)
        person = Person(manager.admin(OPERATOR, VIEWER), VIEWER)
        found = await person.get(f"/api/report?scope={scope}")
        head = await person.reply("HEAD", "/api/report")

    assert (found["scope"], found["requests"], found["wrong"]) == (scope, 3, 1)
    assert found["routes"][0]["route"] == "GET /prices/{id}"
    assert (head.status, head.body) == (200, b"")


async def test_without_shadow_and_audit_it_says_what_to_set() -> None:
    """As long as nothing was observed: after a switch back there is still the report."""
    async with made() as manager:
        person = Person(manager.admin(OPERATOR))
        refused = await person.reply("GET", "/api/report")
        manager.mode = "shadow"
        begun = await person.get("/api/report")
        observe(manager)
        manager.mode = "on"
        kept = await person.get("/api/report")

    assert dict(refused.headers)[b"content-type"] == b"application/problem+json"
    problem = json.loads(refused.body)
    assert (refused.status, problem["detail"]) == (409, NOT_OBSERVED)
    assert "mode='shadow'" in NOT_OBSERVED
    assert (begun["observes"], begun["routes"]) == (True, [])
    assert (kept["observes"], kept["requests"]) == (False, 3)


async def test_an_operator_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    """The answer is what was found until then, and the log has who did it."""
    caplog.set_level(logging.INFO, "asgi_multitier")
    async with made(mode="shadow") as manager:
        observe(manager)
        app = manager.admin(OPERATOR, VIEWER)
        refused = await Person(app, VIEWER).reply("POST", "/api/report", body={"clear": True})
        found = await Person(app).post("/api/report", {"clear": True})
        after = await Person(app).get("/api/report")

    assert refused.status == 403
    assert (found["requests"], found["scope"]) == (3, "process")
    assert after["requests"] == 0
    assert [line for line in caplog.messages if "report clear" in line]


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("clear", {}),
    ("clear", {"clear": False}),
    ("clear", {"clear": 1}),
    ("scope", {"clear": True, "scope": "fleet"}),
    ("routes", {"clear": True, "routes": []}),
]


@pytest.mark.parametrize(("field", "body"), WRONG, ids=str)
async def test_what_is_not_allowed_is_named(field: str, body: dict[str, Any]) -> None:
    """And nothing is forgotten."""
    async with made() as manager:
        observe(manager)
        person = Person(manager.admin(OPERATOR))
        problem = await person.post("/api/report", body, 422)
        assert problem["field"] == field
        assert problem["allowed"]
        assert (await person.get("/api/report"))["requests"] == 3
        assert (await person.get("/api/report?scope=fleet", 422))["field"] == "scope"


async def test_where_nothing_can_be_changed_it_is_read_all_the_same() -> None:
    """`read_only=True`."""
    async with made() as manager:
        observe(manager)
        person = Person(manager.admin(OPERATOR, read_only=True))
        assert (await person.get("/api/report"))["requests"] == 3
        reply = await person.reply("POST", "/api/report", body={"clear": True})

    assert (reply.status, dict(reply.headers)[b"allow"]) == (405, b"GET, HEAD")


async def test_all_workers_of_a_machine_begin_again() -> None:
    """With the scope of the machine."""
    managers: list[CacheManager] = [made(mode="shadow"), made()]
    await reachable(*managers)
    try:
        for manager in managers:
            observe(manager)
        person = Person(managers[1].admin(OPERATOR))
        found = await person.post("/api/report", {"clear": True, "scope": "host"})
        after = await person.get("/api/report?scope=host")
    finally:
        for manager in managers:
            await manager.close()

    assert (found["requests"], [one["worker"] for one in found["workers"]]) == (6, [0, 1])
    assert (after["requests"], after["observes"]) == (0, True)
