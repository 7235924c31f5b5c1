"""Declared headers and cookies are keyed under the names by which the framework reads them."""

import ast
import re
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Cookie, Depends, FastAPI, Header
from pydantic import BaseModel, ConfigDict, Field, model_validator

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError
from asgi_multitier.routing import RouteTable, cached


class Plain(BaseModel):
    x_token: str
    lang: str = "en"


class Aliased(BaseModel):
    who: str = Field(alias="X-Who")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    x_token: str


class Looking(BaseModel):
    x_token: str

    @model_validator(mode="before")
    @classmethod
    def look(cls, given: Any) -> Any:
        return given


class Jar(BaseModel):
    sid: str
    theme: str = "dark"


class OpenJar(BaseModel):
    model_config = ConfigDict(extra="allow")

    sid: str


def by_parameter(x_token: Annotated[str, Header()]) -> str:
    return x_token


def unconverted(x_token: Annotated[str, Header(convert_underscores=False)]) -> str:
    return x_token


def by_alias(who: Annotated[str, Header(alias="X_Token")]) -> str:
    return who


def by_model(h: Annotated[Plain, Header()]) -> str:
    return h.x_token


def by_aliased_model(h: Annotated[Aliased, Header()]) -> str:
    return h.who


def by_cookie(sid: Annotated[str, Cookie()]) -> str:
    return sid


def by_cookie_alias(who: Annotated[str, Cookie(alias="s-id")]) -> str:
    return who


def by_jar(c: Annotated[Jar, Cookie()]) -> str:
    return c.sid


def application(dependency: Any, **options: Any) -> FastAPI:
    """One cached route that answers with what its dependency has read."""
    app = FastAPI()

    async def hello(who: Annotated[str, Depends(dependency)]) -> str:
        return who

    app.add_api_route("/x", cached(60, **options)(hello))
    return app


DECLARED: list[tuple[Any, dict[str, Any], str]] = [
    (by_parameter, {"vary": "x-token"}, "x-token"),
    (unconverted, {"vary": "x_token"}, "x_token"),
    (by_alias, {"vary": "x_token"}, "x_token"),
    (by_model, {"vary": ["x-token", "lang"]}, "x-token"),
    (by_cookie, {"cookies": "sid"}, "cookie"),
    (by_cookie_alias, {"cookies": "s-id"}, "cookie"),
    (by_jar, {"cookies": ["sid", "theme"]}, "cookie"),
]


@pytest.mark.parametrize(
    ("dependency", "options", "name"), DECLARED, ids=lambda value: getattr(value, "__name__", "")
)
async def test_what_the_framework_reads_is_what_is_keyed(
    dependency: Any, options: dict[str, Any], name: str
) -> None:
    """The start-up check takes the right option, and users have copies of their own with it."""
    app = application(dependency, **options)
    cookie = "s-id" if dependency is by_cookie_alias else "sid"
    cache = CacheMiddleware(app, CacheManager(redis_url=None))
    transport = httpx.ASGITransport(cache)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        seen = []
        for who in ("ann", "bob", "ann", "bob"):
            value = f"{cookie}={who}" if name == "cookie" else who
            answer = await client.get("/x", headers={name: value})
            seen.append((answer.json(), "hit" in answer.headers["cache-status"]))

    assert seen == [("ann", False), ("bob", False), ("ann", True), ("bob", True)]


@pytest.mark.parametrize(
    "dependency", [case[0] for case in DECLARED], ids=lambda value: value.__name__
)
def test_the_message_followed_to_the_letter_is_accepted(dependency: Any) -> None:
    """It says which option puts all that is read into the key."""
    with pytest.raises(ConfigError) as caught:
        RouteTable(application(dependency)).check()
    found = re.search(r"here (vary|cookies)=(\[.+?\])", str(caught.value))
    assert found is not None
    options = {found[1]: ast.literal_eval(found[2])}

    RouteTable(application(dependency, **options)).check()


@pytest.mark.parametrize(
    ("dependency", "options"),
    [
        (by_parameter, {"vary": "x_token"}),
        (unconverted, {"vary": "x-token"}),
        (by_alias, {"vary": ["x-token", "who"]}),
        (by_model, {"vary": "x-token"}),
        (by_model, {"vary": "h"}),
        (by_aliased_model, {"vary": "who"}),
        (by_cookie_alias, {"cookies": "who"}),
        (by_jar, {"cookies": "sid"}),
        (by_cookie, {"ignore_cookies": True}),
    ],
    ids=str,
)
def test_another_name_is_refused(dependency: Any, options: dict[str, Any]) -> None:
    """What a parameter or a model's field is called in the code is not what is sent."""
    with pytest.raises(ConfigError, match="depends on the"):
        RouteTable(application(dependency, **options)).check()


def test_a_field_of_a_model_is_read_by_its_alias() -> None:
    """The first FastAPI with header models reads it so too, although it then loses the value."""
    RouteTable(application(by_aliased_model, vary="x-who")).check()


@pytest.mark.parametrize("model", [Open, Looking], ids=["extra", "validator"])
def test_a_model_that_takes_every_header_needs_a_partition(model: Any) -> None:
    """No list of names covers what it may read."""

    def read(h: Annotated[model, Header()]) -> str:  # type: ignore[valid-type]
        return str(h)

    with pytest.raises(ConfigError, match="here neither would do"):
        RouteTable(application(read, vary=["x-token"])).check()

    RouteTable(application(read, vary_by=lambda request: "u")).check()
    RouteTable(application(read, public=True)).check()


def test_a_model_that_takes_every_cookie_is_safe_where_it_gets_the_named_ones_only() -> None:
    """Or where the whole field is in the key."""

    def read(c: Annotated[OpenJar, Cookie()]) -> str:
        return c.sid

    with pytest.raises(ConfigError, match="the cookie sid"):
        RouteTable(application(read, vary=["x-user"], ignore_cookies=["_ga"])).check()

    RouteTable(application(read, cookies=["sid"])).check()
    RouteTable(application(read, vary=["cookie"])).check()
