"""Parameters with several values: each of them is in a tag, and each of them is dropped."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import ConfigError, cached, invalidates
from asgi_multitier.routing import RouteTable
from tests.support import Cache, caching


class Filters(BaseModel):
    """Query parameters as a model."""

    sku: list[str] = []
    aliased: list[str] = Field([], alias="s")


def declared(query: Any) -> FastAPI:
    """A shop whose change declares a list of items in this way."""
    app = FastAPI()

    @app.get("/items/{sku}")
    @cached(60, tags=["sku:{sku}"], key="item-{sku}")
    async def item(sku: str) -> str:
        return sku

    for path, named in {
        "/tags": invalidates(tags=["sku:{sku}"]),
        "/paths": invalidates(paths=["/items/{sku}"]),
        "/patterns": invalidates(patterns=["/item?/{sku}"]),
    }.items():

        @app.delete(path)
        @named
        def change(sku: query = ()) -> None: ...  # type: ignore[valid-type]

    return app


async def dropped(cache: Cache, change: str) -> str:
    """Which of the items a, b and c a change drops."""
    for sku in "abc":
        await cache.get(f"/items/{sku}")
    reply = await cache.client.request("DELETE", change)
    assert reply.status < 300, reply.body
    return "".join([sku for sku in "abc" if not (await cache.get(f"/items/{sku}")).hit])


@pytest.mark.parametrize("way", ["tags", "paths", "patterns"])
@pytest.mark.parametrize(
    ("query", "name"),
    [
        pytest.param(Annotated[list[str], Query()], "sku", id="list"),
        pytest.param(Annotated[list[str], Query(alias="s")], "s", id="alias"),
        pytest.param(Annotated[set[str], Query()], "sku", id="set"),
        pytest.param(Annotated[tuple[str, ...], Query()], "sku", id="tuple"),
        pytest.param(Annotated[list[str] | None, Query()], "sku", id="optional"),
        pytest.param(Annotated[list[Annotated[str, "meta"]], Query()], "sku", id="annotated"),
    ],
)
async def test_every_value_of_a_declared_list_is_dropped(query: Any, name: str, way: str) -> None:
    """`DELETE /x?sku=a&sku=b` drops both, and nothing else."""
    async with caching(declared(query), ()) as cache:
        assert await dropped(cache, f"/{way}?{name}=a&{name}=b") == "ab"
        assert await dropped(cache, f"/{way}?{name}=c") == "c"
        assert await dropped(cache, f"/{way}") == ("" if way != "patterns" else "abc")


async def test_one_value_counts_where_the_endpoint_takes_one() -> None:
    """The last, as the framework reads it: the others name nothing that was changed."""
    async with caching(declared(str), ()) as cache:
        assert await dropped(cache, "/tags?sku=a&sku=b") == "b"


async def test_lists_in_models_in_dependencies_and_of_numbers() -> None:
    """Wherever it is declared; numbers come in one form."""
    app = FastAPI()

    @app.get("/items/{number}")
    @cached(60, tags=["item:{number}"])
    async def item(number: int) -> int:
        return number

    def numbers(number: Annotated[list[int], Query()]) -> list[int]:
        return number

    @app.delete("/numbers")
    @invalidates(tags=["item:{number}"])
    async def change(found: Annotated[list[int], Depends(numbers)]) -> None: ...

    @app.delete("/model")
    @invalidates(tags=["item:{sku}", "item:{aliased}"])
    async def by_model(filters: Annotated[Filters, Query()]) -> None: ...

    async with caching(app, ()) as cache:
        for change_ in ("/numbers?number=007&number=8", "/model?sku=7&s=8", "/model?s=7&s=8"):
            for path in ("/items/7", "/items/8"):
                await cache.get(path)
            assert (await cache.client.request("DELETE", change_)).status == 200
            assert not (await cache.get("/items/7")).hit
            assert not (await cache.get("/items/8")).hit


@pytest.mark.parametrize(
    "default", [Query(["a", "b"]), Query(default_factory=lambda: ["a", "b"])], ids=["list", "made"]
)
async def test_a_list_not_sent_has_all_values_of_its_default(default: Any) -> None:
    """Cached without it: each value of the default finds it."""
    app = FastAPI()

    @app.get("/found")
    @cached(60, tags=["sku:{sku}"])
    async def found(sku: list[str] = default) -> str:
        return ",".join(sku)

    async with caching(app, ()) as cache:
        for tag in ("sku:a", "sku:b"):
            assert (await cache.get("/found")).body == b'"a,b"'
            assert (await cache.get("/found")).hit
            await cache.manager.invalidate_tags(tag)
            assert not (await cache.get("/found")).hit


async def test_a_response_of_several_carries_the_tags_of_all() -> None:
    """By a list, and by a name that a plain endpoint reads for itself."""

    async def plain(request: Request) -> Response:
        return PlainTextResponse(",".join(request.query_params.getlist("sku")))

    for app in (
        Starlette(routes=[Route("/found", cached(60, tags="sku:{sku}", query=["sku"])(plain))]),
        FastAPI(),
    ):
        if isinstance(app, FastAPI):

            @app.get("/found")
            @cached(60, tags=["sku:{sku}"])
            async def found(sku: Annotated[list[str], Query()]) -> str:
                return ",".join(sku)

        async with caching(app, ()) as cache:
            for tag in ("sku:a", "sku:b"):
                await cache.get("/found?sku=a&sku=b")
                assert (await cache.get("/found?sku=a&sku=b")).hit
                await cache.manager.invalidate_tags(tag)
                assert not (await cache.get("/found?sku=a&sku=b")).hit


async def test_more_values_than_a_response_may_have_tags_are_not_stored() -> None:
    """Kept without some of them it would outlive its change; the answer itself is untouched."""
    app = FastAPI()

    @app.get("/found")
    @cached(60, tags=["sku:{sku}"])
    async def found(sku: Annotated[list[str], Query()]) -> int:
        return len(sku)

    async with caching(app, ()) as cache:
        reply = await cache.get("/found?" + "&".join(f"sku={number}" for number in range(65)))

        assert (reply.body, reply.detail) == (b"65", "tags")


def test_a_list_in_a_name_is_refused_at_start() -> None:
    """A response has one name; the message says what carries several."""
    app = FastAPI()

    @app.get("/found")
    @cached(60, key="found:{sku}")
    async def found(sku: Annotated[list[str], Query()]) -> None: ...

    with pytest.raises(ConfigError, match="sku is a list; tags= carries one tag for each"):
        RouteTable(app).check()


async def test_a_name_with_several_values_is_not_stored() -> None:
    """An undeclared name that was sent twice: which one the endpoint reads is not known."""

    async def plain(request: Request) -> Response:
        return PlainTextResponse(request.query_params["sku"])

    app = Starlette(routes=[Route("/p", cached(60, key="p:{sku}", query=["sku"])(plain))])
    async with caching(app, ()) as cache:
        assert (await cache.get("/p?sku=a")).stored
        assert (await cache.get("/p?sku=a&sku=a")).stored
        assert (await cache.get("/p?sku=a&sku=b")).detail == "tags"


async def test_tags_of_a_function_s_result_take_lists_apart() -> None:
    """`cache.cached`: one tag for each member of an argument."""
    async with caching(FastAPI()) as cache:
        runs = []

        @cache.manager.cached("total:{skus}", tags=["sku:{skus}"])
        async def total(skus: list[str]) -> int:
            runs.append(skus)
            return len(skus)

        for tag in ("sku:a", "sku:b"):
            assert await total(["a", "b"]) == 2
            await cache.manager.invalidate_tags(tag)
        assert await total(["a", "b"]) == 2
        assert len(runs) == 3
