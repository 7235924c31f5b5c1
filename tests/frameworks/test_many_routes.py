"""Applications with many routes: what is done for each of them is done once."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from asgi_multitier import Rule
from asgi_multitier.routing import RouteTable

from . import random_routes
from .random_routes import Route
from .support import logging_as_before

__all__ = ["logging_as_before"]

FEW, MANY = 50, 500


def calls_of(function: Callable[[], Any]) -> int:
    """How many calls of Python functions it makes."""
    number = 0

    def count(_: Any, event: str, __: Any) -> None:
        nonlocal number
        number += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return number


def table_of(name: str, number: int) -> RouteTable:
    """The table of an application with so many routes; every other one is of a group."""
    pytest.importorskip(name)
    if name == "django":
        random_routes.configured()
    routes = [Route((f"w{n}", "<int>", "x"), ("GET",), False, n % 2) for n in range(number)]
    return RouteTable(getattr(random_routes, name)(routes).app, rules=[Rule("/w1/*", 60)])


@pytest.mark.parametrize("name", ["litestar", "quart", "django", "falcon"])
def test_ten_times_as_many_routes_are_ten_times_the_work(name: str) -> None:
    """To read them, and to check them."""
    counted = []
    for number in (FEW, MANY):
        table = table_of(name, number)

        def read(table: RouteTable = table) -> None:
            table.check()
            assert table.resolve("GET", "/w9/1/x", host="shop").route != ""

        counted.append(calls_of(read))
        assert len(list(table.tree.leaves())) == number

    assert counted[1] < counted[0] * 1.2 * MANY / FEW


def test_falcon_is_asked_of_a_target_without_a_look_at_all_routes() -> None:
    """When its router has compiled them once."""
    table = table_of("falcon", MANY)
    for target in ("/w7/1/x", "/w7/2/x"):
        table.resolve("GET", target)

    assert calls_of(lambda: table.resolve("GET", f"/w{MANY - 1}/3/x")) < 200
