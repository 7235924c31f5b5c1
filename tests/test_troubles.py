"""What goes wrong again and again is said when it begins, each minute, and when it is over."""

import asyncio
import logging

import pytest

from asgi_multitier.events import MANAGER, Events
from asgi_multitier.events.troubles import EVERY, MOST, Troubles
from tests.support import pass_time


@pytest.fixture(autouse=True)
def from_info_on(caplog: pytest.LogCaptureFixture) -> None:
    """The end of a trouble is no warning."""
    caplog.set_level(logging.INFO, logger="asgi_multitier")


def _fails(events: Events, times: int, route: str = "/x", what: str = "tags") -> None:
    for _ in range(times):
        events.callback_failed(what, ValueError("no"), route)


async def test_two_hundred_failures_are_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    """One when it begins, with the route and the consequence, one after a minute."""
    events = Events()
    _fails(events, 200)
    assert caplog.messages == ["tags= of /x raised ValueError: 'no'; the response is not stored"]

    await pass_time(EVERY)
    assert caplog.messages[1:] == ["tags= fails (/x): 199 more in 60 s"]
    assert events.failures["tags"] == 200


async def test_its_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """After a minute without it; if it comes again after that, it begins."""
    events = Events()
    _fails(events, 2)
    await pass_time(EVERY)
    await pass_time(EVERY)
    assert caplog.messages[2:] == ["tags= fails (/x): over, 2 in all"]

    _fails(events, 1)
    assert caplog.messages[3:] == caplog.messages[:1]


async def test_routes_and_kinds_are_kept_apart(caplog: pytest.LogCaptureFixture) -> None:
    """Each begins for itself."""
    events = Events()
    for what in ("tags", "invalidates", "vary_by"):
        for route in ("/x", "/y"):
            _fails(events, 3, route, what)

    assert len(caplog.messages) == 6
    assert caplog.messages[2].endswith("everything of this namespace is dropped")
    assert caplog.messages[4].endswith("the application answers alone")


async def test_runs_that_fail_are_said_once_with_their_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An origin that is down behind stale copies: one traceback, whatever the keys."""
    events, error = Events(), ValueError("down")
    for number in range(200):
        events.stood_in(f"key {number}", error)
        events.refresh_failed(f"key {number}", "down")

    assert len(caplog.records) == 2
    assert caplog.records[0].exc_info is not None
    assert (events.failures["origin"], events.failures["refresh"]) == (200, 200)
    await pass_time(EVERY)
    assert caplog.messages[2:] == [
        f"origin fails, stale copies served ({MANAGER}): 199 more in 60 s",
        f"background refresh fails ({MANAGER}): 199 more in 60 s",
    ]


async def test_they_are_remembered_within_bounds() -> None:
    """The oldest is forgotten."""
    troubles = Troubles()
    for number in range(2 * MOST):
        assert troubles.begins("x", str(number))

    assert len(troubles) == MOST
    assert not troubles.begins("x", str(2 * MOST - 1))
    assert troubles.begins("x", "0")


def test_without_an_event_loop_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """And the next event loop says how often it came."""
    events = Events()
    _fails(events, 3)
    assert len(caplog.messages) == 1

    async def later() -> None:
        _fails(events, 1)
        await pass_time(EVERY)

    for count in (3, 1):
        asyncio.run(later())
        assert caplog.messages[-1] == f"tags= fails (/x): {count} more in 60 s"
