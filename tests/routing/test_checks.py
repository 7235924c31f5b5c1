"""Annotations and rules that can never do what they say are refused at start-up."""

import functools
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Query
from pydantic import AliasChoices, BaseModel, Field
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from asgi_multitier.config.policy import Policy
from asgi_multitier.config.rules import Rule
from asgi_multitier.errors import ConfigError
from asgi_multitier.routing import RouteTable, cached, invalidates, no_cache

from .applications import endpoint

Mark = Callable[[Any], Any]
CHANGES = invalidates(tags="a")
SEARCH = cached(60, methods=["POST"], body=True)
QUERY = cached(60, methods=["GET", "HEAD", "QUERY"], body=True)
POSTED = cached(Policy.from_origin(methods=["GET", "POST"]))


page = functools.partial(endpoint, "x")


def view(*methods: str, on: Mark = lambda f: f, whole: Mark = lambda f: f) -> Any:
    """An endpoint class with these methods, the last of them marked, or the class."""
    functions = {method: page() for method in methods}
    functions[methods[-1]] = on(functions[methods[-1]])
    return whole(type("View", (HTTPEndpoint,), functions))


def check(*routes: BaseRoute) -> None:
    RouteTable(Starlette(routes=routes)).check()


@pytest.mark.parametrize(
    ("route", "words"),
    [
        pytest.param(
            lambda: Route("/x", cached(60)(page()), methods=["POST"]),
            ["route POST /x", "only POST is taken"],
            id="post",
        ),
        pytest.param(
            lambda: Mount("/m", routes=[Route("/x", POSTED(page()), methods=["POST", "PUT"])]),
            ["route POST,PUT /m/x", "only POST, PUT is taken"],
            id="several-below-a-mount",
        ),
        pytest.param(
            lambda: Route("/x", cached(60)(page()), methods=["HEAD"]),
            ["HEAD"],
            id="head-alone",
        ),
        pytest.param(
            lambda: Route("/x", view("get", "post", on=cached(60))), ["POST"], id="a-post-method"
        ),
        pytest.param(
            lambda: Route("/x", view("put", whole=cached(60))), ["PUT"], id="class-without-get"
        ),
    ],
)
def test_cached_where_nothing_takes_get_is_refused(
    route: Callable[[], BaseRoute], words: list[str]
) -> None:
    """It would do nothing; the message names the route and what it takes."""
    with pytest.raises(ConfigError, match="@cached does nothing") as caught:
        check(route())

    for word in (*words, "expected a route that takes GET", "body=True"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (lambda: Route("/x", SEARCH(page())), ["only GET, HEAD is taken", "takes POST"]),
        (
            lambda: Route("/x", QUERY(page()), methods=["HEAD", "POST"]),
            ["only HEAD, POST is taken", "takes GET or QUERY"],
        ),
    ],
    ids=["post", "query"],
)
def test_a_question_that_no_route_takes_is_refused(
    route: Callable[[], BaseRoute], words: list[str]
) -> None:
    """It would do nothing; the message names the methods of the annotation."""
    with pytest.raises(ConfigError, match="@cached does nothing") as caught:
        RouteTable(Starlette(routes=[route()])).check()

    for word in (*words, "as methods= says"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("route", "words"),
    [
        pytest.param(
            lambda: Route("/x", CHANGES(page())),
            ["route GET,HEAD /x", "only GET, HEAD is taken"],
            id="get",
        ),
        pytest.param(
            lambda: Route("/x", CHANGES(page()), methods=["OPTIONS"]),
            ["OPTIONS"],
            id="options",
        ),
        pytest.param(
            lambda: Route("/x", view("put", "get", on=CHANGES)), ["GET, HEAD"], id="a-get-method"
        ),
        pytest.param(
            lambda: Route("/x", view("options", "get", whole=CHANGES)),
            ["GET, HEAD, OPTIONS"],
            id="class-that-reads",
        ),
    ],
)
def test_invalidates_where_nothing_changes_anything_is_refused(
    route: Callable[[], BaseRoute], words: list[str]
) -> None:
    """A safe request drops nothing; the message says what does."""
    with pytest.raises(ConfigError, match="@invalidates does nothing") as caught:
        check(route())

    for word in (*words, "such as POST", "invalidate_tags"):
        assert word in str(caught.value)


async def plain(scope: Any, receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize(
    "routes",
    [
        pytest.param(
            lambda: [Route("/x", cached(60)(page()), methods=["GET", "POST"])],
            id="get-and-post",
        ),
        pytest.param(
            lambda: [Route("/x", CHANGES(page()), methods=["GET", "POST"])],
            id="form-and-change",
        ),
        pytest.param(lambda: [Route("/x", CHANGES(page()), methods=["PURGE"])], id="own-method"),
        pytest.param(lambda: [Route("/x", view("get", whole=cached(60)))], id="class"),
        pytest.param(lambda: [Route("/x", view("get", "put", on=CHANGES))], id="method"),
        pytest.param(lambda: [Route("/x", view("get", "put", whole=CHANGES))], id="class-changes"),
        pytest.param(lambda: [Mount("/m", app=CHANGES(cached(60)(plain)))], id="any-method"),
        pytest.param(lambda: [Route("/x", no_cache(page()), methods=["POST"])], id="never"),
        pytest.param(lambda: [Route("/x", SEARCH(page()), methods=["POST"])], id="search"),
        pytest.param(lambda: [Route("/x", QUERY(page()))], id="get-or-query"),
        pytest.param(lambda: [Route("/x", QUERY(page()), methods=["QUERY"])], id="query"),
        pytest.param(lambda: [Route("/x", view("query", on=QUERY))], id="query-method"),
        pytest.param(lambda: [Route("/x", view("get", "post", on=SEARCH))], id="search-method"),
    ],
)
def test_what_some_request_meets_is_taken(routes: Callable[[], list[BaseRoute]]) -> None:
    """One method is enough, and a class or application without methods takes all of them."""
    check(*routes())


def test_one_endpoint_at_several_routes_is_marked_for_all_of_them() -> None:
    """Also through a wrapper or as a bound method: it is enough that one route is met."""

    class Views:
        @cached(60)
        async def search(self, request: Any) -> Response:
            return PlainTextResponse("x")

    both, views = CHANGES(cached(60)(page())), Views()

    @functools.wraps(both)
    async def wrapper(request: Any) -> Any:
        return await both(request)

    check(
        Route("/x", both),
        Route("/y", wrapper, methods=["POST"]),
        Route("/s", views.search, methods=["POST"]),
        Route("/s", views.search),
    )


def test_equal_marks_of_another_endpoint_do_not_count() -> None:
    """Two endpoints may say the same."""
    with pytest.raises(ConfigError, match="route POST /y"):
        check(
            Route("/x", cached(60)(page())),
            Route("/y", cached(60)(page()), methods=["POST"]),
        )


def needing(mark: Mark = lambda f: f, path: str = "/s", method: str = "GET") -> FastAPI:
    """One route that requires `q`, and has other parameters."""
    app = FastAPI()

    def paging(size: Annotated[int, Query(alias="page-size")]) -> int:
        return size

    def search(
        q: str, size: Annotated[int, Depends(paging)], lang: str = "en", sort: str | None = None
    ) -> None: ...

    app.add_api_route(path, mark(search), methods=[method])
    return app


LEFT_OUT = {"query": ["lang", "q"]}
"""An allow-list without `page-size`."""


@pytest.mark.parametrize(
    ("mark", "settings", "where"),
    [
        pytest.param(cached(60, **LEFT_OUT), {}, "route GET /s", id="annotation"),
        pytest.param(
            lambda f: f, {"rules": [Rule("/s*", 60, **LEFT_OUT)]}, "Rule('/s*'): route", id="rule"
        ),
        pytest.param(
            lambda f: f,
            {"rules": [Rule("/t", None)], "default": Policy(60, **LEFT_OUT)},
            "default policy, route",
            id="default",
        ),
    ],
)
def test_an_allow_list_without_what_the_endpoint_requires_is_refused(
    mark: Mark, settings: dict[str, Any], where: str
) -> None:
    """All requests would be answered 422; the message names the parameter as it is sent."""
    with pytest.raises(ConfigError) as caught:
        RouteTable(needing(mark), **settings).check()

    message = str(caught.value)
    assert message.startswith(where)
    assert "query=['lang', 'q'] is not allowed; expected page-size among them" in message


@pytest.mark.parametrize(
    ("mark", "options", "asked"),
    [
        pytest.param(lambda f: f, {}, False, id="no-content"),
        pytest.param(lambda f: f, {"body": True}, True, id="content"),
        pytest.param(invalidates(tags="a"), {"body": True}, False, id="a-change"),
        pytest.param(invalidates(tags="a"), {"body": True, "when": bool}, True, id="told-apart"),
    ],
)
def test_an_allow_list_holds_for_questions_with_content_too(
    mark: Mark, options: dict[str, Any], asked: bool
) -> None:
    """Their application gets what the list names; that of other POSTs gets all."""
    rule = Rule("*", Policy.from_origin(methods=["GET", "POST"], **options, **LEFT_OUT))
    table = RouteTable(needing(mark, method="POST"), rules=[rule])
    if not asked:
        table.check()
        return
    with pytest.raises(ConfigError, match="expected page-size among them, which"):
        table.check()


def test_a_field_of_a_query_model_may_be_required_too() -> None:
    """By the name that is sent."""

    class Filters(BaseModel):
        sort: Annotated[str, Field(alias="order-by")]
        page: int = 1
        either: Annotated[str, Field(validation_alias=AliasChoices("a", "b"))]

    def read(filters: Annotated[Filters, Query()]) -> None: ...

    app = FastAPI()
    app.add_api_route("/f", cached(60, query=["page"])(read))

    with pytest.raises(ConfigError, match="expected order-by among them, which"):
        RouteTable(app).check()


@pytest.mark.parametrize(
    ("app", "settings"),
    [
        pytest.param(needing(cached(60, query=["q", "page-size"])), {}, id="named"),
        pytest.param(needing(cached(60)), {}, id="no-list"),
        pytest.param(
            needing(no_cache), {"rules": [Rule("/*", 60, **LEFT_OUT)]}, id="annotation-decides"
        ),
        pytest.param(
            needing(),
            {"rules": [Rule("/s", None), Rule("*", 60, **LEFT_OUT)]},
            id="covered-by-another-rule",
        ),
        pytest.param(needing(), {"rules": [Rule("/t", 60, **LEFT_OUT)]}, id="elsewhere"),
        pytest.param(
            needing(),
            {"rules": [Rule("/*", 60)], "default": Policy(60, **LEFT_OUT)},
            id="default-behind-a-rule",
        ),
        pytest.param(
            needing(method="POST"), {"rules": [Rule("/*", 60, **LEFT_OUT)]}, id="not-for-get"
        ),
        pytest.param(
            needing(path="/{q}"),
            {"rules": [Rule("/*", 60, query=["page-size"])]},
            id="in-the-path",
        ),
    ],
)
def test_an_allow_list_that_lets_requests_be_answered_passes(
    app: FastAPI, settings: dict[str, Any]
) -> None:
    """What it leaves out is optional, elsewhere, or not its business."""
    RouteTable(app, **settings).check()


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        pytest.param(cached(60, tags="{idd}"), ["tags='{idd}'", "{id}, {lang}"], id="tag"),
        pytest.param(cached(60, key="{idd}"), ["key='{idd}'"], id="key"),
        pytest.param(invalidates(tags="{idd}"), ["tags='{idd}'"], id="invalidates-tag"),
        pytest.param(invalidates(paths="/{idd}"), ["paths='/{idd}'"], id="invalidates-path"),
        pytest.param(invalidates(patterns="{x}*"), ["patterns='{x}*'"], id="pattern"),
        pytest.param(
            invalidates(routes="produkt"), ["routes=", "did you mean product?"], id="route"
        ),
        pytest.param(invalidates(routes=endpoint("qqq")), ["no route 'qqq'"], id="endpoint"),
        pytest.param(
            cached(60, tags="{lang}", query=["page"]),
            ["tags='{lang}'", "query=['page']"],
            id="left-out-of-the-key",
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_wrong_templates_fail_at_start_up(
    mark: Callable[[Any], Any], words: list[str], method: str
) -> None:
    """The message names the route, the option, the value and what is allowed."""
    app = FastAPI()

    async def product(id: int, lang: str = "en") -> None: ...  # noqa: A002

    app.add_api_route("/p/{id}", mark(product), methods=[method])

    with pytest.raises(ConfigError, match=rf"route {method} /p/\{{id\}} \(.*product\)") as error:
        RouteTable(app).check()

    for word in words:
        assert word in str(error.value)


def test_a_query_parameter_of_a_plain_endpoint_is_declared_by_the_allow_list() -> None:
    """Starlette endpoints declare none, so a misspelt one could not be told."""
    good = Route("/g/{x}", cached(60, tags="{x}{lang}", query="lang")(endpoint("good")))
    wrong = Route("/w", cached(60, tags="{lang}")(endpoint("wrong")))

    RouteTable(Starlette(routes=[good])).check()
    with pytest.raises(ConfigError, match=r"/w \(wrong\).*must be in query="):
        RouteTable(Starlette(routes=[wrong])).check()
