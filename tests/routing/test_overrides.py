"""What stands in the place of a dependency counts as what is declared does."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header

from asgi_multitier.errors import ConfigError
from asgi_multitier.routing import RouteTable, cached

from .applications import admin, bearer, only, user


def placeholder() -> str:
    """What the application replaces by what identifies the user."""
    raise NotImplementedError


def through(inner: Annotated[str, Depends(placeholder)]) -> str:
    return inner


def tenant(x_shop: Annotated[str, Header()]) -> str:
    return x_shop


def included() -> FastAPI:
    """A route of a router that is included, whose dependency depends on the placeholder."""
    app, router = FastAPI(), APIRouter(dependencies=[Depends(through)])
    router.add_api_route("/secret", cached(60)(lambda: "x"))
    app.include_router(router)
    return app


@pytest.mark.parametrize("override", [user, bearer, tenant], ids=["nested", "scheme", "header"])
@pytest.mark.parametrize("build", [lambda: only(dependencies=[Depends(placeholder)]), included])
def test_an_override_that_checks_who_asks_is_refused(
    build: Callable[[], FastAPI], override: Any
) -> None:
    """A placeholder gets its meaning so; what it depends on counts as well."""
    app = build()
    RouteTable(app).check()

    def standing_in(name: Annotated[str, Depends(override)]) -> str:
        return name

    app.dependency_overrides[placeholder] = standing_in
    with pytest.raises(ConfigError, match="is cached and depends on"):
        RouteTable(app).check()


def test_an_override_that_takes_the_check_away_is_no_permission() -> None:
    """It is of a test; what stands in its place may depend on the very same."""
    app = only(dependencies=[Depends(user)])
    app.dependency_overrides[user] = lambda: "user"
    with pytest.raises(ConfigError, match="depends on HTTPBearer"):
        RouteTable(app).check()
    app.dependency_overrides[user] = admin
    with pytest.raises(ConfigError, match="depends on HTTPBearer"):
        RouteTable(app).check()


def test_an_override_in_a_mounted_application_is_its_own() -> None:
    """Only the application that has the route puts something in the place of its dependencies."""
    inner = only(dependencies=[Depends(placeholder)])
    outer = FastAPI()
    outer.mount("/inner", inner)
    outer.dependency_overrides[placeholder] = user
    RouteTable(outer).check()
    inner.dependency_overrides[placeholder] = user
    with pytest.raises(ConfigError, match="depends on HTTPBearer"):
        RouteTable(outer).check()


def test_an_override_after_the_start_leaves_the_route_uncached() -> None:
    """As from an application's own lifespan; one in another's place counts as well."""
    app = only(dependencies=[Depends(placeholder)])
    app.dependency_overrides[placeholder] = lambda: "guest"
    table = RouteTable(app)
    table.check()
    assert table.resolve("GET", "/secret/1").policy is not None
    app.dependency_overrides[placeholder] = user
    assert table.resolve("GET", "/secret/1").reason == "security"


def test_what_an_override_takes_from_the_query_is_known() -> None:
    """An allow-list without it would have every request refused."""

    def paged(page: int) -> int:
        return page

    app = FastAPI()
    app.add_api_route(
        "/list", cached(60, query=["q"])(lambda: "x"), dependencies=[Depends(placeholder)]
    )
    RouteTable(app).check()
    app.dependency_overrides[placeholder] = paged
    with pytest.raises(ConfigError, match="page among them"):
        RouteTable(app).check()
