"""What a rule's callables get, with and without a framework, and who answers their exceptions."""

import sys

import pytest
from starlette.requests import Request

from asgi_multitier.asgi.framework import PlainRequest, answer_to, request_of
from tests.support import scope_of


def test_the_frameworks_own_request_where_it_is_in_use() -> None:
    """With the path parameters that the router will find."""
    request = request_of(scope_of("GET", "/a?b=1"), {"id": 7})

    assert isinstance(request, Request)
    assert request.path_params == {"id": 7}
    assert request.query_params["b"] == "1"


def test_a_plain_request_where_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same names mean the same; nothing is imported."""
    monkeypatch.delitem(sys.modules, "starlette.requests")
    lines = [("cookie", "a=1; b=x"), ("X-A", "\xe4")]
    request = request_of(scope_of("GET", "/p%20q?b=1&b=2&c=", lines), {"id": 7})

    assert isinstance(request, PlainRequest)
    assert (request.method, request.path) == ("GET", "/p q")
    assert request.query_params == {"b": "2", "c": ""}
    assert request.headers["x-a"] == "\xe4"
    assert request.cookies == {"a": "1", "b": "x"}
    assert request.path_params == {"id": 7}
    assert "starlette.requests" not in sys.modules


@pytest.mark.parametrize("sent", ["", "a", 'a="', "\x00=1", "a b=c"])
def test_odd_cookies_do_not_break_a_rule(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is not there."""
    monkeypatch.delitem(sys.modules, "starlette.requests")
    request = request_of(scope_of("GET", "/", [("cookie", sent)]), {})

    assert isinstance(request.cookies, dict)


def test_an_exception_that_no_application_handles_has_no_answer() -> None:
    """The layers outside decide."""
    assert answer_to(LookupError(), scope_of("GET", "/"), object()) is None


def test_a_plain_request_has_the_state_of_its_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager stands there, whether a framework is in use or not."""
    monkeypatch.delitem(sys.modules, "starlette.requests")
    request = request_of(scope_of("GET", "/x", state={"cache": "the manager"}), {})

    assert isinstance(request, PlainRequest)
    assert request.state.cache == "the manager"
    assert not hasattr(request_of(scope_of("GET", "/x"), {}).state, "cache")


def test_fields_of_a_plain_request_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In any letter case, the last line of a name, as a mapping does."""
    monkeypatch.delitem(sys.modules, "starlette.requests")
    lines = [("X-A", "1"), ("x-b", "2"), ("x-a", "3")]
    headers = request_of(scope_of("GET", "/", lines), {}).headers

    assert (headers["x-a"], headers["X-A"], headers.get("x-b")) == ("3", "3", "2")
    assert headers.get("x-c") is None
    assert "x-\u20ac" not in headers
    assert {"x-a", "x-b"} <= set(headers)
    assert len(headers) == len(list(headers))
