"""A hit runs no authentication: what needs it is refused unless the rule says how it is safe."""

import functools
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, Security
from fastapi.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPBasic,
    HTTPBearer,
    OAuth2PasswordBearer,
    OpenIdConnect,
)
from pydantic import BaseModel, ConfigDict

from asgi_multitier.config.policy import Policy
from asgi_multitier.config.rules import Rule
from asgi_multitier.errors import ConfigError
from asgi_multitier.routing import RouteTable, cached, invalidates, no_cache
from asgi_multitier.routing.security import Need, needs_of

from .applications import admin, bearer, only, user

BEARER = Need("HTTPBearer", "header", "authorization", credential=True)


def token_header(x_token: Annotated[str, Header()]) -> None:
    """A credential without a scheme."""


def language(accept_language: Annotated[str, Header()] = "") -> str:
    """A header that does not identify the user."""
    return accept_language


@pytest.mark.parametrize(
    "scheme",
    [
        HTTPBearer(),
        HTTPBasic(),
        APIKeyHeader(name="x"),
        APIKeyCookie(name="x"),
        OAuth2PasswordBearer("/token", auto_error=False),
        OpenIdConnect(openIdConnectUrl="/oid"),
    ],
    ids=lambda scheme: type(scheme).__name__,
)
def test_every_scheme_is_refused_with_the_ways_out(scheme: Any) -> None:
    """The message names the route, the scheme and what makes it safe."""
    app = only(dependencies=[Security(scheme)])

    with pytest.raises(ConfigError) as caught:
        RouteTable(app).check()

    for word in ("GET /secret/{id}", type(scheme).__name__, "public=True", "cookies=", "vary_by="):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "dependency",
    [
        pytest.param(user, id="one-below"),
        pytest.param(admin, id="two-below"),
        pytest.param(functools.partial(bearer), id="partial"),
        pytest.param(bearer.__call__, id="bound-method"),
        pytest.param(token_header, id="credential-header"),
    ],
)
def test_the_whole_dependency_tree_counts(dependency: Any) -> None:
    """However deep, and however it is wrapped."""
    with pytest.raises(ConfigError, match="depends on"):
        RouteTable(only(dependencies=[Depends(dependency)])).check()


def test_dependencies_of_application_router_and_inclusion_count() -> None:
    """A route has those of all that it stands in."""

    def router(**options: Any) -> APIRouter:
        made = APIRouter(prefix="/r", **options)
        made.add_api_route("/x", cached(60)(lambda: "x"))
        return made

    guard = [Depends(bearer)]
    whole = FastAPI(dependencies=guard)
    whole.add_api_route("/x", cached(60)(lambda: "x"))
    by_router, by_inclusion, nested = FastAPI(), FastAPI(), FastAPI()
    by_router.include_router(router(dependencies=guard))
    by_inclusion.include_router(router(), dependencies=guard)
    outer = APIRouter(dependencies=guard)
    outer.include_router(router())
    nested.include_router(outer)

    for app in (whole, by_router, by_inclusion, nested):
        with pytest.raises(ConfigError, match="HTTPBearer"):
            RouteTable(app).check()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"public": True}, id="public"),
        pytest.param({"vary": "authorization"}, id="vary"),
        pytest.param({"vary_by": lambda request: "u"}, id="vary-by"),
    ],
)
def test_a_rule_that_says_how_it_is_safe_passes(options: dict[str, Any]) -> None:
    """Each of the ways out."""
    table = RouteTable(only(cached(60, **options), dependencies=[Depends(user)]))

    table.check()

    assert table.resolve("GET", "/secret/7").policy is not None


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        pytest.param(APIKeyHeader(name="X-Shop-Key"), {"vary": "x-shop-key"}, id="header"),
        pytest.param(APIKeyCookie(name="session"), {"cookies": "session"}, id="cookie"),
        pytest.param(APIKeyCookie(name="session"), {"vary": "cookie"}, id="whole-cookie-field"),
        pytest.param(APIKeyQuery(name="key"), {}, id="query-in-the-key"),
        pytest.param(APIKeyQuery(name="key"), {"query": ["key"]}, id="query-listed"),
        pytest.param(OAuth2PasswordBearer("/token"), {"vary": "authorization"}, id="oauth"),
    ],
)
def test_what_the_scheme_itself_reads_may_be_keyed(scheme: Any, options: dict[str, Any]) -> None:
    """Two who present different keys get copies of their own."""
    RouteTable(only(cached(60, **options), dependencies=[Security(scheme)])).check()


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        pytest.param(HTTPBearer(), {"vary": "accept-language"}, id="negotiation"),
        pytest.param(APIKeyHeader(name="X-Shop-Key"), {"vary": "x-lang"}, id="another-header"),
        pytest.param(APIKeyHeader(name="X-Shop-Key"), {"cookies": "theme"}, id="a-cookie"),
        pytest.param(APIKeyCookie(name="session"), {"cookies": "theme"}, id="another-cookie"),
        pytest.param(APIKeyQuery(name="key"), {"query": ["page"]}, id="query-left-out"),
        pytest.param(HTTPBearer(), {"cookies": "session"}, id="bearer-by-cookie"),
    ],
)
def test_something_else_in_the_key_is_no_way_out(scheme: Any, options: dict[str, Any]) -> None:
    """Two users with one language, or one theme, are still two users."""
    with pytest.raises(ConfigError, match=type(scheme).__name__):
        RouteTable(only(cached(60, **options), dependencies=[Security(scheme)])).check()


def test_a_declared_header_must_be_in_the_key() -> None:
    """What a dependency reads from a header or cookie decides about the answer, by any name."""

    def tenant(x_tenant: Annotated[str, Header()]) -> None: ...

    def theme(theme: Annotated[str, Cookie()]) -> None: ...

    for dependency, what in ((tenant, "the header x-tenant"), (theme, "the cookie theme")):
        with pytest.raises(ConfigError, match=what):
            RouteTable(only(dependencies=[Depends(dependency)])).check()

    RouteTable(only(cached(60, vary="x-tenant"), dependencies=[Depends(tenant)])).check()
    RouteTable(only(cached(60, cookies="theme"), dependencies=[Depends(theme)])).check()


def test_what_is_not_cached_or_not_guarded_passes() -> None:
    """Mutations, marked and plain routes, and headers that are in the key."""
    guard = [Depends(user)]
    app = FastAPI()
    app.add_api_route("/a", invalidates(tags="a")(lambda: "x"), methods=["PUT"], dependencies=guard)
    page = cached(60)(lambda: "x")
    app.add_api_route("/a", page, methods=["GET"])
    app.add_api_route("/a", page, methods=["DELETE"], dependencies=guard)
    app.add_api_route("/b", no_cache(lambda: "x"), dependencies=guard)
    app.add_api_route("/c", lambda: "x", dependencies=guard)
    by_language = cached(60, vary="accept-language")
    app.add_api_route("/d", by_language(lambda: "x"), dependencies=[Depends(language)])

    RouteTable(app).check()


def test_unchecked_it_is_still_not_cached() -> None:
    """A route that appeared after start-up is safe, too."""
    guarded = only(dependencies=[Depends(user)])
    table = RouteTable(guarded, default=Policy.from_origin())
    plain = RouteTable(
        only(lambda f: f, dependencies=[Depends(user)]), default=Policy.from_origin()
    )

    for resolved in (table.resolve("GET", "/secret/7"), plain.resolve("GET", "/secret/7")):
        assert (resolved.policy, resolved.reason) == (None, "security")


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        pytest.param([Rule("/secret/*", 60)], "/secret/*", id="matches"),
        pytest.param([Rule("*", 60)], "*", id="everything"),
        pytest.param([Rule("/secret/7", 60)], "/secret/7", id="one-path"),
        pytest.param([Rule("/secret/7", None), Rule("/*", 60)], "/*", id="partly-covered"),
        pytest.param([Rule("/other/*", 60)], "", id="elsewhere"),
        pytest.param([Rule("/secret/*", None), Rule("*", 60)], "", id="covered-by-never"),
        pytest.param([Rule("/secret/*", 60, public=True), Rule("*", 60)], "", id="covered-safely"),
        pytest.param([Rule("*", 60, vary_by=lambda request: "u")], "", id="vary-by"),
    ],
)
def test_a_rule_over_a_guarded_route_is_refused(rules: list[Rule], refused: str) -> None:
    """The message names the rule and the route; an earlier rule that covers the route decides."""
    table = RouteTable(only(lambda f: f, dependencies=[Depends(user)]), rules=rules)

    if not refused:
        table.check()
        return
    with pytest.raises(ConfigError) as caught:
        table.check()

    assert str(caught.value).startswith(f"Rule({refused!r}): route GET /secret/{{id}}")
    assert "HTTPBearer" in str(caught.value)


@pytest.mark.parametrize(
    ("methods", "options"),
    [
        pytest.param(["DELETE"], {}, id="a-change"),
        pytest.param(["HEAD"], {"methods": "GET"}, id="head-alone"),
    ],
)
def test_a_rule_for_other_methods_than_a_guarded_route_takes_passes(
    methods: list[str], options: dict[str, Any]
) -> None:
    """What the rule never answers needs no partition."""
    guarded = only(lambda f: f, dependencies=[Depends(user)], methods=methods)

    RouteTable(guarded, rules=[Rule("*", 60, **options)]).check()


@pytest.mark.parametrize("mark", [no_cache, cached(60, public=True)], ids=["never", "public"])
def test_an_annotation_decides_before_a_rule(mark: Callable[[Any], Any]) -> None:
    """What the endpoint says itself makes the rule harmless."""
    RouteTable(only(mark, dependencies=[Depends(user)]), rules=[Rule("*", 60)]).check()


def test_a_wrapped_scheme_is_still_one() -> None:
    """What a decorator made of it says what it wraps."""

    def wrapper() -> None: ...

    wrapper.__wrapped__ = bearer  # type: ignore[attr-defined]
    dependant = SimpleNamespace(call=wrapper, header_params=[], cookie_params=[], dependencies=[])

    assert needs_of(dependant) == (BEARER,)


def test_older_descriptions_of_dependencies_are_read() -> None:
    """Earlier versions list security requirements apart."""
    dependant = SimpleNamespace(
        call=None,
        header_params=[],
        cookie_params=[],
        dependencies=[],
        security_requirements=[SimpleNamespace(security_scheme=bearer)],
    )

    assert needs_of(dependant) == (BEARER,)
    assert needs_of(None) == ()


def test_a_scheme_of_ones_own_is_separated_by_any_field_but_negotiation() -> None:
    """Nobody knows where it reads from, so the rule's word is taken."""
    need = Need("Own", "unknown", "authorization", credential=True)

    assert need.is_keyed(Policy(60, vary="x-user"))
    assert not need.is_keyed(Policy(60, vary="accept"))


@pytest.mark.parametrize("path", ["/api/me", "/api/users/{id}", "/api/files/{rest:path}"])
async def test_a_rule_over_a_secured_route_says_how_to_leave_it_out(path: str) -> None:
    """Whoever writes what the message says starts, and that route is not cached."""
    app = FastAPI()
    app.add_api_route(path, lambda: "mine", dependencies=[Depends(bearer)])
    app.add_api_route("/api/all", lambda: "all")
    rule = Rule("/api/*", 60)
    with pytest.raises(ConfigError) as caught:
        RouteTable(app, rules=[rule]).check()

    proposed = re.search(r"expected Rule\('([^']+)', None\) before this rule", str(caught.value))
    assert proposed is not None
    table = RouteTable(app, rules=[Rule(proposed[1], None), rule])
    table.check()
    secured = table.resolve("GET", re.sub(r"\{[^}]+\}", "7", path))
    assert (secured.policy, secured.reason) == (None, "no-cache")
    assert table.resolve("GET", "/api/all").reason == "rule"


def test_a_refusal_names_all_that_is_missing_beside_what_is_there() -> None:
    """So that it is followed in one step, and nothing that was named before is lost."""

    def page(
        x_zone: Annotated[str, Header()],
        x_lang: Annotated[str, Header()],
        theme: Annotated[str, Cookie()],
        key: Annotated[str, Security(APIKeyQuery(name="key"))],
    ) -> None: ...

    def table(**options: Any) -> RouteTable:
        app = FastAPI()
        app.get("/x")(cached(60, **options)(functools.partial(page)))
        return RouteTable(app)

    with pytest.raises(ConfigError) as caught:
        table(vary=["accept", "x-lang"], cookies=["size"], query=["q"]).check()

    said = str(caught.value)
    assert "depends on the header x-zone, the cookie theme, APIKeyQuery (query key)" in said
    options = dict(re.findall(r"(vary|cookies|query)=(\[[^]]+\])", said))
    assert options == {
        "vary": "['accept', 'x-lang', 'x-zone']",
        "cookies": "['size', 'theme']",
        "query": "['q', 'key']",
    }
    table(**{name: re.findall("[a-z-]+", names) for name, names in options.items()}).check()


def test_a_model_that_takes_every_cookie_is_kept_apart_by_all_of_them() -> None:
    """The application gets only the cookies that `cookies=` names, so that is not proposed."""

    class Everything(BaseModel):
        model_config = ConfigDict(extra="allow")
        theme: str = ""

    def page(cookies: Annotated[Everything, Cookie()]) -> None: ...

    app = FastAPI()
    app.get("/x")(cached(60)(page))

    with pytest.raises(ConfigError, match=re.escape("(here vary=['cookie'])")):
        RouteTable(app).check()
