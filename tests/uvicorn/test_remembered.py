"""Requests that are known by their bytes: from the second time on, and within a bound of bytes."""

from typing import Any

import pytest

from asgi_multitier.asgi.in_front import Found
from asgi_multitier.errors import ConfigError
from asgi_multitier.uvicorn.remembered import Known, Requests
from asgi_multitier.uvicorn.versions import check

BOUND = 100_000


def known(head: int = 200, fields: int = 0) -> Known:
    """What is known of some request."""
    plan: Any = None
    found = Found(plan, None, {"method": "GET", "headers": ((b"a", b""),) * fields}, 0)
    one = Known(found, None, None, {"method": "GET", "path": "/", "query_string": b""})
    one.head = b"x" * head
    return one


def taught(requests: Requests, data: bytes, one: Known | None = None) -> None:
    """It comes twice."""
    for _ in range(2):
        requests.remember(data, one or known())


def test_a_request_is_remembered_when_it_comes_again() -> None:
    """What comes once is not held."""
    requests = Requests(BOUND)
    requests.remember(b"a", known())

    assert requests.recall(b"a") is None
    assert requests.size == len(requests) == 0

    one = known()
    requests.remember(b"a", one)

    assert requests.recall(b"a") is one


def test_requests_seen_once_are_bounded() -> None:
    """Identifiers of single requests leave nothing behind."""
    requests = Requests(BOUND)
    for number in range(20_000):
        requests.remember(b"%d" % number, known())

    assert len(requests) == 0
    assert len(requests._seen) <= 4096


def test_bytes_are_bounded() -> None:
    """The older half goes; what is asked for stays."""
    requests = Requests(BOUND)
    for number in range(1_000):
        taught(requests, b"%d" % number)
        if number:
            assert requests.recall(b"0") is not None, number
        assert requests.size <= BOUND

    assert 10 < len(requests) < 100
    assert requests.recall(b"1") is None


def test_all_that_is_held_counts() -> None:
    """The bytes, which are held as fields and as a target as well, the fields, and the head."""
    sizes = []
    for data, one in (
        (b"x", known()),
        (b"x" * 1_001, known()),
        (b"x", known(fields=10)),
        (b"x", known(head=1_200)),
    ):
        taught(requests := Requests(BOUND), data, one)
        sizes.append(requests.size)

    assert [size - sizes[0] for size in sizes[1:]] == [3_000, 2_000, 1_000]


def test_heads_that_grow_are_accounted_for() -> None:
    """The head of a request is rebuilt each second, and may be another's."""
    requests = Requests(BOUND)
    for number in range(20):
        taught(requests, b"%d" % number, known(0))
    for number in range(20):
        data = b"%d" % number
        one = requests.recall(data)
        if one is None:
            continue
        one.head = b"x" * 5_000
        requests.resize(data, one)

        assert requests.size <= BOUND + one.size
    assert len(requests) < 20


def test_what_is_too_long_is_not_remembered() -> None:
    """A request of more than 4 KiB, or what does not fit in half of the room."""
    requests = Requests(BOUND)
    taught(requests, b"x" * 4097)
    taught(requests, b"y", known(BOUND))

    assert len(requests) == 0
    assert requests.size == 0


def test_one_that_is_replaced_counts_once() -> None:
    """The same bytes mean another thing, as after an edit of the routes."""
    requests = Requests(BOUND)
    taught(requests, b"a", known(1_000))
    taught(requests, b"a", one := known())

    assert requests.recall(b"a") is one
    assert requests._bytes == requests.size == one.size


def test_clear_forgets_everything() -> None:
    """The layers are others now."""
    requests = Requests(BOUND)
    for number in range(80):
        taught(requests, b"%d" % number)
    assert requests._old
    requests.clear()
    requests.remember(b"79", known())

    assert len(requests) == 0
    assert requests.recall(b"79") is None
    assert requests._bytes == 0


@pytest.mark.parametrize("version", ["0.32.0", "0.32", "0.40.1", "0.54.0", "0.54.9"])
def test_supported_versions(version: str) -> None:
    """Those that the tests have passed with."""
    check(version)


@pytest.mark.parametrize("version", ["0.31.9", "0.9.0", "0.55.0", "1.0.0", "", "dev"])
def test_other_versions_are_refused(version: str) -> None:
    """With what to write instead."""
    with pytest.raises(ConfigError, match=r"0\.32 to 0\.54; write --http httptools"):
        check(version)
