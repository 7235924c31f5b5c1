"""What the declaration and the code of an endpoint say about caching its answers."""

import datetime
import random
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from asgi_multitier.routing.routes import Leaf
from asgi_multitier.routing.security import Need
from asgi_multitier.shadow.declared import (
    measured,
    names_in,
    objection,
    place_of,
    separation,
    takes_request,
)


class Mount:
    """What passes requests on to another application."""

    app = object()


class Request:
    """A request of some framework."""

    session: dict[str, int]


class User:
    """Who asks."""

    name: str
    pk: int


def leaf(endpoint: Any, matcher: object = None, path: str = "/products/{id}") -> Leaf:
    """A route of which the methods are not known."""
    return Leaf(matcher=matcher, matches=bool, endpoint=endpoint, path=path)


def plain() -> int:
    """Say nothing against a cache."""
    return 1


def nested() -> list[str]:
    """Use a name inside of another function."""
    return [(lambda: uuid4().hex)() for _ in range(2)]


def with_session(asked: Request) -> int:
    """Take the request by its type."""
    return asked.session["a"]


def handed_on(request: object) -> str:
    """Take the request by its name."""
    return str(request)


async def streaming() -> AsyncIterator[bytes]:
    """Answer bit by bit."""
    yield b"x"


def generating() -> Iterator[bytes]:
    """Answer bit by bit."""
    yield b"x"


class Endpoint:
    """An endpoint class."""

    def get(self) -> float:
        """Answer by something random."""
        return self.random()

    def random(self) -> float:
        """Give a number."""
        return 4.0


def for_user(user: User) -> int:
    """Take a user."""
    return user.pk


def for_user_or_none(user: "User | None") -> int:
    """Take a user, if there is one."""
    return 0 if user is None else user.pk


def for_token(token: UUID) -> str:
    """Take something that is told apart as it is."""
    return str(token)


def for_anything(user: object, token: str) -> str:
    """Take something of which nothing is known."""
    return f"{user}{token}"


def odd(user: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Have an annotation that cannot be evaluated."""


def sleeping() -> int:
    """Take its time."""
    time.sleep(1)
    return 1


def sleeping_by_a_local_name() -> int:
    """Take its time."""
    import time as clock

    clock.sleep(1)
    return 1


def measuring() -> int:
    """Measure its time."""
    return int(time.perf_counter() - time.monotonic()) * 0


def of_a_day() -> str:
    """Use classes that can say what time it is, and do not."""
    return str(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)) + str(UUID(int=1))


def clock() -> float:
    """Read the clock."""
    return time.time()


def today() -> str:
    """Read the clock by a class."""
    return str(datetime.datetime.now(datetime.UTC))


def gambling() -> float:
    """Use a module that has nothing but what is random."""
    return random.gauss(0, 1)


def helped() -> float:
    """Call what reads the clock."""
    return clock()


def cookie_of(asked: Request) -> str:
    """Read a cookie."""
    return asked.cookies["theme"]  # type: ignore[attr-defined, no-any-return]


def with_help(request: Request) -> str:
    """Hand the request to what reads a cookie."""
    return cookie_of(request)


request = Request()


def of_the_context() -> object:
    """Read a header of the request of its context."""
    return request.headers  # type: ignore[attr-defined]


def by_a_short_name(req: Any) -> object:
    """Read a cookie."""
    return req.cookies


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (leaf(plain), ""),
        (leaf(sleeping), ""),
        (leaf(sleeping_by_a_local_name), ""),
        (leaf(measuring), ""),
        (leaf(of_a_day), ""),
        (leaf(clock), "uses time:"),
        (leaf(today), "uses now:"),
        (leaf(gambling), "uses random:"),
        (leaf(helped), "uses time:"),
        (leaf(with_help), "cookies=[...]"),
        (leaf(by_a_short_name), "cookies=[...]"),
        (leaf(of_the_context), "vary=[...]"),
        (leaf(partial(plain)), ""),
        (leaf(odd), ""),
        (leaf(handed_on), ""),
        (leaf(plain, Mount()), "mounted here"),
        (leaf(plain, path="/Me/orders"), "Below /Me"),
        (leaf(plain, path="/x/healthz"), "Below /healthz"),
        (leaf(nested), "uses uuid4"),
        (leaf(Endpoint), "uses random"),
        (leaf(with_session), "reads session: write vary_by="),
        (leaf(streaming), "generator"),
        (leaf(generating), "generator"),
    ],
)
def test_what_speaks_against_a_cache(route: Leaf, said: str) -> None:
    """A path, a stream, names in code: also of an inner function, and of a class."""
    assert said in objection(route)
    assert bool(objection(route)) is bool(said)


@pytest.mark.parametrize(
    ("endpoint", "names", "template"),
    [
        (for_user, ["user"], "{user.pk}"),
        (for_user_or_none, ["user"], "{user.pk}"),
        (for_token, ["token"], "{token}"),
        (for_anything, ["token"], "{token}"),
        (for_anything, ["user", "token"], ""),
        (odd, ["user"], ""),
    ],
)
def test_what_tells_users_apart(endpoint: Any, names: list[str], template: str) -> None:
    """An attribute that types of users have, or the argument itself; nothing if one is unknown."""
    needs = [Need(name, "value", name) for name in names]

    assert separation(leaf(endpoint), needs) == template


def test_what_is_no_function_has_no_code() -> None:
    """An object that can be called, or none."""
    for endpoint in (None, 5, Mount()):
        assert names_in(endpoint) == frozenset()
        assert place_of(endpoint) == ""
        assert not takes_request(endpoint)

    assert place_of(plain).rpartition(":")[0] == __file__


def test_what_measures_is_told() -> None:
    """It is to be checked, and no reason against a cache."""
    assert (measured(measuring), measured(clock)) == ("monotonic", "")
