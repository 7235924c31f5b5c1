"""What the document of an application says of its cache."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Header
from openapi_spec_validator import validate

from asgi_multitier import CacheMiddleware, Policy, Rule, cached, invalidates
from asgi_multitier.fastapi import document

from .shop import covered, operation, shop


def documented(**options: Any) -> dict[str, Any]:
    """The document of the shop, whose cache was given these options."""
    app = covered(**options)
    document(app)
    return app.openapi()


def without_cache(given: Any) -> Any:
    """A document without all that is said of a cache."""
    if isinstance(given, Mapping):
        names = {"x-cache", "x-cache-invalidates", "304"}
        kept = {name: without_cache(value) for name, value in given.items() if name not in names}
        if isinstance(kept.get("headers"), Mapping):
            left = {n: v for n, v in kept["headers"].items() if n not in FIELDS}
            kept = (
                {**kept, "headers": left} if left else {n: kept[n] for n in kept if n != "headers"}
            )
        return kept
    return [without_cache(each) for each in given] if isinstance(given, list) else given


FIELDS = ("ETag", "Cache-Status", "Age")


def test_a_cached_operation_says_how() -> None:
    """Its lifetime, templates, what its key has, and the operations that drop it."""
    assert operation(documented(), "GET", "/products/{id}")["x-cache"] == {
        "lifetime": 300,
        "tags": ["product:{id}"],
        "tags_computed": True,
        "vary": ["accept-language"],
        "client_cache": 5,
        "dropped_by": ["PUT /products/{id}"],
    }


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/products", {"lifetime": 600, "tags": ["products"]}),
        ("GET", "/mine", {"lifetime": 2.5, "query": [], "cookies": ["basket"]}),
        ("GET", "/orders", {"lifetime": 60, "vary_by": "template", "guarded": True}),
        ("POST", "/search", {"lifetime": 60, "body": "json"}),
    ],
)
def test_what_separates_responses_is_named(method: str, path: str, said: dict[str, Any]) -> None:
    """By kind: what a callable returns, and its name, are the application's own."""
    found = operation(documented(), method, path)["x-cache"]

    if path == "/mine":
        assert found.pop("vary_by") == "callable"
    dropped_by = found.pop("dropped_by")
    assert found == said
    assert dropped_by == (["PUT /products/{id}"] if path == "/products" else [])


def test_a_change_says_what_it_drops() -> None:
    """Templates as written; routes by their paths; what code says is only said to be there."""
    found = documented()

    assert operation(found, "PUT", "/products/{id}")["x-cache-invalidates"] == {
        "tags": ["product:{id}"],
        "paths": ["/stock/{id}"],
        "routes": ["/products"],
    }
    assert operation(found, "POST", "/purge")["x-cache-invalidates"] == {"patterns_computed": True}


def test_names_of_code_and_hidden_routes_are_in_no_document() -> None:
    """Strangers read it: callables, their names, and routes outside of the schema are not shown."""
    text = json.dumps(documented())

    for secret in ("secret", "DELETE", "delete", "/report", "lambda", "who"):
        assert secret not in text, secret


def test_answers_of_a_cached_operation_are_described() -> None:
    """Fields of the responses that are stored, by reference, and a 304 with them."""
    found = documented()
    responses = operation(found, "GET", "/products/{id}")["responses"]
    fields = {name: {"$ref": f"#/components/headers/{name}"} for name in FIELDS}

    assert responses["200"]["headers"] == fields
    assert responses["304"] == {"description": "Not Modified", "headers": fields}
    assert "headers" not in responses["422"]
    assert set(found["components"]["headers"]) == set(FIELDS)
    age = found["components"]["headers"]["Age"]["schema"]  # delta-seconds, RFC 9111 section 1.2.2
    assert age == {"type": "integer", "minimum": 0}
    for method, path in (("GET", "/never"), ("PUT", "/products/{id}"), ("POST", "/purge")):
        said = operation(found, method, path)
        assert "x-cache" not in said
        assert not any("headers" in each for each in said["responses"].values())


def test_a_post_that_asks_has_no_304() -> None:
    """RFC 9110 §13.1.2: a condition of a POST that fails is 412, which the cache leaves alone."""
    responses = operation(documented(), "POST", "/search")["responses"]

    assert "304" not in responses
    assert set(responses["200"]["headers"]) == set(FIELDS)


def test_nothing_else_changes() -> None:
    """Without what is said of the cache the document is FastAPI's own, in its order."""
    found = without_cache(documented())

    assert json.dumps(found) == json.dumps(shop().openapi())


@pytest.mark.parametrize("version", ["3.1.0", "3.0.3"])
@pytest.mark.parametrize("more", [False, True])
def test_it_is_valid(version: str, *, more: bool) -> None:
    """For the OpenAPI version that the application states."""
    app = covered()
    app.openapi_version = version
    document(app, if_none_match=more)
    found = app.openapi()

    assert found["openapi"] == version
    assert "x-cache" in json.dumps(found)
    validate(found)


def test_if_none_match_is_a_parameter_where_it_is_wanted() -> None:
    """Of operations that have a validator; without 304 where that is not wanted."""
    app = covered()
    document(app, if_none_match=True, not_modified=False)
    found = app.openapi()
    said = operation(found, "GET", "/products/{id}")

    assert said["parameters"][-1] == {"$ref": "#/components/parameters/If-None-Match"}
    assert found["components"]["parameters"]["If-None-Match"]["in"] == "header"
    assert "304" not in said["responses"]
    assert "parameters" not in operation(found, "POST", "/search")


def test_rules_count_as_they_do_for_requests() -> None:
    """A rule gives a policy, and takes one away; the default decides for the rest."""
    rules = [Rule("/never", 60), Rule("/mine", None, override=True), Rule("/products", 5)]
    found = documented(rules=rules, default=Policy.from_origin())

    assert "x-cache" not in operation(found, "GET", "/never")  # it says `no_cache` itself
    assert "x-cache" not in operation(found, "GET", "/mine")
    assert operation(found, "GET", "/products")["x-cache"]["lifetime"] == 600


def test_where_responses_decide_no_answer_is_described() -> None:
    """With `from_origin` some responses are stored and others are not."""
    app = FastAPI()

    @app.get("/plain")
    def plain() -> str:
        return ""

    app.add_middleware(CacheMiddleware, default=Policy.from_origin())
    document(app)
    said = operation(app.openapi(), "GET", "/plain")

    assert said["x-cache"] == {"lifetime": None, "dropped_by": []}
    assert set(said["responses"]) == {"200"}
    assert "headers" not in said["responses"]["200"]


def test_what_only_observes_is_not_cached() -> None:
    """In shadow the application answers each request, unchanged."""
    assert "x-cache" not in json.dumps(
        documented(rules=[Rule("*", 60, shadow=True, override=True, public=True)])
    ).replace("x-cache-invalidates", "")


def test_what_the_application_says_itself_stays() -> None:
    """Its own 304, fields (in any letter case), components and parameters."""
    app = FastAPI()
    own: dict[int | str, dict[str, Any]] = {
        200: {"headers": {"etag": {"description": "own", "schema": {"type": "string"}}}},
        304: {"description": "own"},
        404: {"$ref": "#/components/responses/None"},
    }

    @app.get("/own", responses=own)
    @cached(300, negative=10)
    def plain() -> str:
        return ""

    app.add_middleware(CacheMiddleware)
    document(app)
    responses = operation(app.openapi(), "GET", "/own")["responses"]

    assert responses["304"]["description"] == "own"
    assert responses["200"]["headers"].keys() == {"etag", "Cache-Status", "Age"}
    assert responses["200"]["headers"]["etag"]["description"] == "own"
    assert "headers" not in responses["404"]


def test_a_parameter_of_the_applications_own_is_not_said_again() -> None:
    """In any letter case, as those of a document name header fields."""
    app = FastAPI()

    @app.get("/own")
    @cached(300)
    def plain(if_none_match: Annotated[str | None, Header()] = None) -> str:
        return ""

    app.add_middleware(CacheMiddleware)
    document(app, if_none_match=True)
    found = app.openapi()

    named = [each["name"] for each in operation(found, "GET", "/own")["parameters"]]
    assert named == ["if-none-match"]


def test_stored_errors_are_described_too() -> None:
    """`negative=`: a 404 that the document has, without a validator."""
    app = FastAPI()

    @app.get("/a", responses={404: {"description": "none"}, 410: {"description": "gone"}})
    @cached(300, negative=10)
    def plain() -> str:
        return ""

    app.add_middleware(CacheMiddleware)
    document(app)
    responses = operation(app.openapi(), "GET", "/a")["responses"]

    assert set(responses["404"]["headers"]) == {"Cache-Status", "Age"}


def test_two_routes_of_one_operation_are_described_where_they_agree() -> None:
    """The document has one operation for both; which of them answers depends on the request."""

    def made(second: int) -> dict[str, Any]:
        app = FastAPI()

        @app.get("/a/{id:int}")
        @cached(300)
        def first(id: int) -> int:  # noqa: A002
            return id

        @app.get("/a/{id}")
        @cached(second)
        def other(id: str) -> str:  # noqa: A002
            return id

        app.add_middleware(CacheMiddleware)
        document(app)
        return operation(app.openapi(), "GET", "/a/{id}")

    assert made(300)["x-cache"] == {"lifetime": 300, "dropped_by": []}
    assert "x-cache" not in made(200)
    assert set(made(200)["responses"]) == {"200", "422"}


def test_what_may_drop_it_is_not_said_to_drop_it() -> None:
    """A callable names tags that are known only when it runs."""
    app = FastAPI()

    @app.get("/a")
    @cached(300, tags=["a"])
    def read() -> str:
        return ""

    @app.post("/b")
    @invalidates(tags=lambda request: ["a"])
    def write() -> None: ...

    @app.post("/a")
    def create() -> None: ...

    app.add_middleware(CacheMiddleware)
    document(app)
    found = app.openapi()

    assert operation(found, "GET", "/a")["x-cache"]["dropped_by"] == ["POST /a"]
    assert operation(found, "POST", "/b")["x-cache-invalidates"] == {"tags_computed": True}
    assert "x-cache-invalidates" not in operation(found, "POST", "/a")


async def test_validation_and_responses_stay_as_they_are() -> None:
    """The document alone is made in another way: no route, model or answer changes."""
    from tests.support import Client

    plain, described = shop(), shop()
    document(described)
    for app in (plain, described):
        app.openapi()
    for target in ("/products/1", "/products/word", "/nothing"):
        mine, theirs = await Client(plain).get(target), await Client(described).get(target)
        assert (mine.status, mine.headers, mine.body) == (
            theirs.status,
            theirs.headers,
            theirs.body,
        )
