"""For random routes of each framework, what is chosen before the application runs is what runs."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from asgi_multitier.routing import RouteTable
from tests.support import Client

from . import random_routes
from .random_routes import REQUESTS, ROUTES, Made, Route

Number = int | None


def predicted(table: RouteTable, method: str, path: str) -> tuple[Number, dict[str, str]]:
    """The number of the route that is chosen for a request, and its parameters as texts."""
    resolved = table.resolve(method, path, host="shop")
    name = getattr(resolved.endpoint, "__qualname__", "")
    number = int(name.rpartition("_")[2]) if name.startswith("endpoint_") else None
    return number, dict(resolved.texts)


async def differences(made: Made, requests: Sequence[tuple[str, str]]) -> list[Any]:
    """Requests of which another route ran than was chosen; both, with their parameters."""
    table, client, found = RouteTable(made.app), Client(made.app), []
    for method, path in requests:
        chosen, params = predicted(table, method, path)
        made.ran.clear()
        reply = await client.request(method, path, [("host", "shop")])
        ran, ran_params = made.ran[-1] if made.ran else (None, {})
        if ran is None and (reply.status == 405 or method == "OPTIONS"):
            continue  # a class of views answers itself where it has no function for the method
        if (chosen, params if chosen is not None else {}) != (ran, ran_params):
            found.append(((method, path), (chosen, params), (ran, ran_params)))
    return found


@pytest.mark.parametrize("name", ["litestar", "quart", "django", "falcon"])
def test_what_is_chosen_is_what_runs(name: str) -> None:
    """Also with the same parameters; where nothing runs, nothing is chosen."""
    pytest.importorskip(name)
    make = getattr(random_routes, name)
    if name == "django":
        random_routes.configured()
    tried = 0

    @settings(
        max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(ROUTES, REQUESTS)
    def compare(routes: list[Route], requests: list[tuple[str, str]]) -> None:
        nonlocal tried
        try:
            made = make(routes)
        except Exception:  # noqa: BLE001  # the framework refuses such routes
            return
        assert asyncio.run(differences(made, requests)) == []
        tried += 1

    compare()
    assert tried > 10
