"""Whether a stored response may answer a request now (RFC 9111 §4)."""

from typing import Any

import pytest

from asgi_multitier.entry import Born, Entry, reuse_of
from asgi_multitier.policy.cache_control import parse
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.reuse import (
    Decision,
    Use,
    assess,
    displaces,
    is_origin_failure,
    usable_on_error,
)

TIMES = {"created": 0.0, "fresh_until": 100.0, "keep_until": 200.0, "filled_at": 0.0}


def an_entry(**changes: Any) -> Entry:
    """Made at 0, fresh until 100 and kept until 200."""
    times = {name: changes.pop(name, value) for name, value in TIMES.items()}
    uses = {"stale_while_revalidate": 0.0, "stale_if_error": 0.0, **changes}
    return Entry(key="k", payload=b"", born=Born("g", 0), reuse=reuse_of(**uses), **times)


def assessed(now: float, directives: bytes | None = None, **changes: Any) -> Decision:
    """The decision about such an entry."""
    request = None if directives is None else parse([directives])
    return assess(an_entry(**changes), now=now, request=request)


@pytest.mark.parametrize(
    ("now", "changes", "use", "reason"),
    [
        (0, {}, Use.FRESH, None),
        (99.9, {}, Use.FRESH, None),
        (100, {}, Use.VALIDATE, Reason.STALE),
        (199.9, {}, Use.VALIDATE, Reason.STALE),
        (200, {}, Use.GONE, Reason.STALE),
        (50, {"keep_until": 50}, Use.GONE, Reason.STALE),
        (50, {"always_validate": True}, Use.VALIDATE, Reason.NO_CACHE),
        (100, {"stale_while_revalidate": 10}, Use.STALE_WHILE_REVALIDATE, Reason.STALE),
        (109.9, {"stale_while_revalidate": 10}, Use.STALE_WHILE_REVALIDATE, Reason.STALE),
        (110, {"stale_while_revalidate": 10}, Use.VALIDATE, Reason.STALE),
        (
            105,
            {"stale_while_revalidate": 10, "stale_allowed": False},
            Use.VALIDATE,
            Reason.STALE,
        ),
        (
            105,
            {"stale_while_revalidate": 10, "always_validate": True},
            Use.VALIDATE,
            Reason.NO_CACHE,
        ),
    ],
)
def test_entry_is_used_by_its_times_alone(now, changes, use, reason):
    """RFC 9111 §4.2 and §4.2.4, RFC 5861 §3: the request's directives are not heard."""
    assert assessed(now, **changes) == (use, reason)


@pytest.mark.parametrize(
    ("now", "directives", "changes", "use", "reason"),
    [
        (50, b"", {}, Use.FRESH, None),
        (0, b"max-age=0", {}, Use.VALIDATE, Reason.REQUEST_MAX_AGE),
        (3, b"max-age=1", {}, Use.VALIDATE, Reason.REQUEST_MAX_AGE),
        (1, b"max-age=1", {}, Use.FRESH, None),
        (3, b"max-age=1", {"created": -7000}, Use.VALIDATE, Reason.REQUEST_MAX_AGE),
        (3, b"max-age=0", {"immutable": True}, Use.FRESH, None),
        (100, b"max-age=0", {"immutable": True}, Use.VALIDATE, Reason.STALE),
        (
            100,
            b"max-age=0",
            {"immutable": True, "stale_while_revalidate": 10},
            Use.VALIDATE,
            Reason.STALE,
        ),
        (3, b"max-age=1, max-stale=10", {}, Use.VALIDATE, Reason.REQUEST_MAX_AGE),
        (50, b"min-fresh=50", {}, Use.FRESH, None),
        (50, b"min-fresh=51", {}, Use.VALIDATE, Reason.REQUEST_MIN_FRESH),
        (50, b"no-cache", {}, Use.VALIDATE, Reason.REQUEST_NO_CACHE),
        (50, b"no-cache", {"immutable": True}, Use.VALIDATE, Reason.REQUEST_NO_CACHE),
        (50, b"no-store", {}, Use.GONE, Reason.REQUEST_NO_STORE),
        (150, b"no-store", {}, Use.GONE, Reason.REQUEST_NO_STORE),
        (150, b"no-cache", {}, Use.VALIDATE, Reason.STALE),
        (105, b"no-cache", {"stale_while_revalidate": 10}, Use.VALIDATE, Reason.STALE),
        (110, b"max-stale=10", {}, Use.STALE, Reason.STALE),
        (111, b"max-stale=10", {}, Use.VALIDATE, Reason.STALE),
        (199, b"max-stale", {}, Use.STALE, Reason.STALE),
        (110, b"max-stale", {"stale_allowed": False}, Use.VALIDATE, Reason.STALE),
        (110, b"max-age=105, max-stale=10", {}, Use.STALE, Reason.STALE),
        (110, b"max-age=99, max-stale=10", {}, Use.VALIDATE, Reason.STALE),
        (110, b"max-age=99", {}, Use.VALIDATE, Reason.STALE),
        (200, b"max-stale", {}, Use.GONE, Reason.STALE),
    ],
)
def test_request_directives_narrow_or_widen_the_use(now, directives, changes, use, reason):
    """RFC 9111 §5.2.1 where they are honoured; RFC 8246 §2 for what is immutable."""
    assert assessed(now, directives, **changes) == (use, reason)


@pytest.mark.parametrize(
    ("now", "window", "keep_until", "usable"),
    [
        (99, 0, 200, True),
        (100, 0, 200, False),
        (159, 60, 200, True),
        (160, 60, 200, False),
        (150, 60, 150, False),
    ],
)
def test_usable_on_error_within_its_window(now, window, keep_until, usable):
    """RFC 5861 §4."""
    entry = an_entry(keep_until=keep_until, stale_if_error=window)
    assert usable_on_error(entry, now) is usable


@pytest.mark.parametrize(
    ("status", "fails"),
    [(500, True), (502, True), (503, True), (504, True), (501, False), (404, False), (200, False)],
)
def test_which_statuses_are_failures_of_the_origin(status, fails):
    """RFC 5861 §4."""
    assert is_origin_failure(status) is fails


@pytest.mark.parametrize(
    ("status", "ends"),
    [(200, True), (201, True), (301, True), (404, True), (410, True)]
    + [(s, False) for s in (206, 304, 400, 401, 403, 429, 500, 503)],
)
def test_which_answers_end_what_is_stored_though_they_are_not(status, ends):
    """RFC 9111 §4.3.3: a new response does, a failure or a refusal of one client does not."""
    assert displaces(status) is ends
