"""Which applications have a document that tells of the cache, and when it is made again."""

import json
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.applications import Starlette

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Rule, cached
from asgi_multitier.fastapi import document
from tests.support import Client

from .shop import Product, covered, operation, products, shop


def lifetime(app: FastAPI, path: str = "/products/{id}") -> Any:
    """What the document of an application says of one operation."""
    return operation(app.openapi(), "GET", path).get("x-cache", {}).get("lifetime")


@pytest.fixture
def cache() -> CacheManager:
    """A manager that is not started."""
    return CacheManager(redis_url=None, namespace="openapi")


def test_the_manager_finds_its_middleware_whatever_comes_first(cache: CacheManager) -> None:
    """Added or around, before or after: what counts is what is there when a document is made."""
    before, after, around = shop(), shop(), shop()
    before.add_middleware(CacheMiddleware, cache=cache, rules=[Rule("/never", 1)])
    for app in (before, after, around):
        cache.document(app)
    after.add_middleware(CacheMiddleware, cache=cache)
    assert lifetime(around) is None
    wrapped = CacheMiddleware(around, cache, rules=[Rule("/products/*", 7, override=True)])

    assert [lifetime(app) for app in (before, after, around)] == [300, 300, 7]
    del wrapped


def test_the_application_with_its_own_manager_may_be_given_with_its_layers() -> None:
    """Of what is around it, the rules count."""
    app = shop()
    wrapped = CacheMiddleware(app, rules=[Rule("/products/*", 7, override=True)])
    document(wrapped)

    assert lifetime(app) == 7


def test_without_a_cache_the_document_stays() -> None:
    """Marks alone cache nothing."""
    app = shop()
    document(app)

    assert app.openapi() == shop().openapi()
    assert app.openapi() is app.openapi_schema


def test_an_application_without_a_document_is_refused(cache: CacheManager) -> None:
    """The error says what is expected."""
    for given in (Starlette(), None):
        with pytest.raises(ConfigError, match=r"document: app=.* expected a FastAPI app"):
            cache.document(given)


def test_the_document_is_kept_where_fastapi_keeps_it() -> None:
    """It is made once, and again when the application forgets it; edits of it stay."""
    app = covered()
    document(app)
    made = app.openapi()

    assert made is app.openapi_schema
    assert app.openapi() is made
    made["info"]["x-logo"] = "/logo.png"
    assert app.openapi()["info"]["x-logo"] == "/logo.png"
    app.openapi_schema = None
    again = app.openapi()
    assert again is not made
    assert "x-logo" not in again["info"]
    assert lifetime(app) == 300


def test_a_document_that_was_made_before_is_used() -> None:
    """What FastAPI has kept by then is what is described; the object itself is left alone."""
    app = covered()
    plain = app.openapi()
    document(app)

    assert lifetime(app) == 300
    assert "x-cache" not in plain["paths"]["/products/{id}"]["get"]
    assert "headers" not in plain["components"]


def test_rules_that_come_later_count() -> None:
    """The document is made again when another cache is found."""
    app = shop()
    document(app)
    assert lifetime(app) is None
    app.add_middleware(CacheMiddleware)
    assert lifetime(app) == 300
    app.user_middleware.clear()
    app.add_middleware(CacheMiddleware, rules=[Rule("/products/*", 7, override=True)])

    assert lifetime(app) == 7
    assert app.openapi() is app.openapi_schema


def test_twice_is_as_once(cache: CacheManager) -> None:
    """Each time the same document, with what was asked for last; also around another function."""
    app, once = covered(), covered()
    document(once)
    for _ in range(3):
        document(app, if_none_match=True)
        document(app)
    assert app.openapi() == once.openapi()

    inner = app.openapi
    app.openapi = lambda: inner()  # type: ignore[method-assign]
    document(app)
    cache.document(app)
    assert app.openapi() == once.openapi()
    document(app, if_none_match=True)
    document(app, if_none_match=True)
    parameters = operation(app.openapi(), "GET", "/products/{id}")["parameters"]
    assert len(parameters) == 2


def test_routes_that_are_added_later_are_seen_as_fastapi_sees_them() -> None:
    """From FastAPI 0.137 on at once; before, when the document is forgotten."""
    app, plain = covered(), shop()
    document(app)
    for each in (app, plain):
        each.openapi()
        each.add_api_route("/later", cached(9)(lambda: 1), name="later")
    seen = "/later" in plain.openapi()["paths"]
    assert ("/later" in app.openapi()["paths"]) is seen
    app.openapi_schema = None

    assert lifetime(app, "/later") == 9


def test_a_function_of_the_users_own_is_asked() -> None:
    """As FastAPI's guide writes it, with a copy that it keeps or without."""
    for keeps in (True, False):
        app = covered()

        def own(app: FastAPI = app, *, keeps: bool = keeps) -> dict[str, Any]:
            if app.openapi_schema:
                return app.openapi_schema
            made = get_openapi(title="Own", version="2", routes=app.routes)
            if keeps:
                app.openapi_schema = made
            return made

        app.openapi = own  # type: ignore[method-assign]
        document(app)
        for _ in range(2):
            assert app.openapi()["info"] == {"title": "Own", "version": "2"}
            assert lifetime(app) == 300
        assert (app.openapi_schema is not None) is keeps


def test_what_is_no_mapping_is_passed_on() -> None:
    """A function of the user's own may return anything."""
    app = covered()
    app.openapi = lambda: "text"  # type: ignore[method-assign,assignment,return-value]
    document(app)

    assert app.openapi() == "text"


def test_a_document_without_paths_stays() -> None:
    """One that was cut down by the user."""
    app = covered()
    app.openapi = lambda: {"openapi": "3.1.0"}  # type: ignore[method-assign]
    document(app)

    assert app.openapi() == {"openapi": "3.1.0"}


def test_routers_with_prefixes() -> None:
    """Each place at which a router is included has an operation."""
    inner = APIRouter(prefix="/inner")
    inner.get("/all")(products)
    outer = APIRouter(prefix="/v1")
    outer.include_router(inner)
    app = FastAPI()
    app.include_router(outer)
    app.include_router(inner, prefix="/again")
    app.add_middleware(CacheMiddleware)
    document(app)

    assert [lifetime(app, path) for path in ("/v1/inner/all", "/again/inner/all")] == [600, 600]


def test_a_mounted_application_has_its_own_document() -> None:
    """With the rules of the cache around all, which see the whole path; paths stay its own."""
    app, sub = FastAPI(), shop("Sub")
    app.mount("/sub", sub)
    app.add_middleware(CacheMiddleware, rules=[Rule("/sub/never", 5), Rule("/sub/mine", None)])
    document(app)

    assert app.openapi()["paths"] == {}
    assert (lifetime(sub), lifetime(sub, "/products")) == (300, 600)
    assert operation(sub.openapi(), "GET", "/products/{id}")["x-cache"]["dropped_by"] == [
        "PUT /products/{id}"
    ]


def test_an_operation_of_another_document_is_not_named() -> None:
    """A change in a mounted application drops it; this document does not have that operation."""
    app, sub = shop(), shop("Sub")
    app.mount("/sub", sub)
    app.add_middleware(CacheMiddleware)
    document(app)

    for each in (app, sub):
        said = operation(each.openapi(), "GET", "/products/{id}")["x-cache"]
        assert said["dropped_by"] == ["PUT /products/{id}"]


def test_a_mounted_application_with_its_own_cache_has_its_rules() -> None:
    """The nearest cache counts."""
    app, sub = FastAPI(), covered(rules=[Rule("/products/*", 7, override=True)])
    app.mount("/sub", sub)
    app.add_middleware(CacheMiddleware)
    document(app)

    assert lifetime(sub) == 7


def test_an_application_of_another_cache_is_not_described(cache: CacheManager) -> None:
    """A manager around one application says nothing of another."""
    wrapped, other = CacheMiddleware(shop(), cache), shop()
    cache.document(other)

    assert lifetime(other) is None
    del wrapped


def test_webhooks_and_callbacks_stay() -> None:
    """They are requests that the application sends: it caches none of them."""
    callbacks = APIRouter()

    @callbacks.post("{$callback_url}/told")
    @cached(60, methods=["POST"], body=True)
    def told(body: Product) -> None: ...

    def made() -> FastAPI:
        app = FastAPI()

        @app.post("/orders", callbacks=callbacks.routes)
        def order(callback_url: str) -> None: ...

        @app.webhooks.get("changed")
        @cached(60)
        def changed() -> str:
            return ""

        return app

    app = made()
    app.add_middleware(CacheMiddleware)
    document(app)

    assert app.openapi() == made().openapi()


async def test_the_served_document_is_the_described_one(cache: CacheManager) -> None:
    """`/openapi.json` has it."""
    app = shop()
    app.add_middleware(CacheMiddleware, cache=cache)
    cache.document(app)
    async with cache:
        reply = await Client(app).get("/openapi.json")

    assert json.loads(reply.body) == app.openapi()
    assert lifetime(app) == 300
