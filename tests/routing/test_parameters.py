"""What templates are filled from: the parameters as the endpoint reads them."""

import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI, Query
from pydantic import AliasChoices, BaseModel, create_model
from starlette.applications import Starlette
from starlette.routing import Route

from asgi_multitier.config.rules import Rule
from asgi_multitier.routing import RouteTable, cached, invalidates, parameters
from asgi_multitier.selectors import Selector

from .applications import endpoint


class Colour(Enum):
    RED = "red"


class Filter(BaseModel):
    page: int = 1
    sort: str = "name"
    shop: str | None = None


class TestTemplates:
    def table(self) -> RouteTable:
        app = FastAPI()

        @app.get("/p/{id}/{unit}")
        @cached(60, tags=["p:{id}", "u:{unit}", "q:{q}", "on:{on}", "s:{s}", "{o}", "c:{c}"])
        def product(
            id: int,  # noqa: A002
            unit: UUID,
            search: Annotated[str, Query(alias="q")] = "",
            on: bool = False,
            s: str | None = None,
            o: int | None = None,
            c: Colour = Colour.RED,
        ) -> None: ...

        @app.get("/f")
        @cached(60, tags=["{page}:{sort}"])
        def filtered(filters: Annotated[Filter, Query()]) -> None: ...

        return RouteTable(app)

    @pytest.mark.parametrize(
        ("path", "query", "tags"),
        [
            pytest.param(
                "/p/007/12345678123456781234567812345678",
                b"q=a+b&q=c%2Fd&on=1&s=01&o=08&c=red",
                (
                    "p:7",
                    "u:12345678-1234-5678-1234-567812345678",
                    "q:c/d",
                    "on:True",
                    "s:01",
                    "8",
                    "c:red",
                ),
                id="one-form-for-equal-values",
            ),
            pytest.param(
                "/p/x/y",
                b"on=?",
                ("p:x", "u:y", "q:", "on:?", "s:", "c:red"),
                id="wrong-values-stay",
            ),
            pytest.param("/f", b"page=02&sort=up&shop=x", ("2:up",), id="query-model"),
        ],
    )
    def test_tags_are_filled_as_the_endpoint_reads_its_parameters(
        self, path: str, query: bytes, tags: tuple[str, ...]
    ) -> None:
        """Numbers, truth values and UUIDs in one form; the last of a name; nothing for none."""
        table = self.table()
        table.check()
        resolved = table.resolve("GET", path)

        assert tags == resolved.tags(resolved.values(query), None)

    @pytest.mark.parametrize(
        ("annotation", "default", "sent"),
        [
            pytest.param(str, "en", "en", id="text"),
            pytest.param(int, 7, "07", id="number"),
            pytest.param(float, 1, "1.0", id="number-of-another-kind"),
            pytest.param(bool, False, "0", id="truth-value"),
            pytest.param(Decimal, Decimal("1.50"), "1.50", id="decimal"),
            pytest.param(date, date(2020, 2, 3), "2020-02-03", id="date"),
            pytest.param(datetime, datetime(2020, 2, 3), "2020-02-03T00:00:00", id="time"),
            pytest.param(UUID, UUID(int=1), UUID(int=1).hex, id="uuid"),
            pytest.param(Colour, Colour.RED, "red", id="choice"),
            pytest.param(list[str], ["a", "b"], "a&x=b", id="several"),
        ],
    )
    @pytest.mark.parametrize("place", ["name", "alias", "dependency", "model"])
    def test_a_parameter_not_sent_has_the_default_of_the_signature(
        self, annotation: Any, default: Any, sent: str, place: str
    ) -> None:
        """The same text as if a client had sent it, when cached and when invalidated."""

        query = Annotated[annotation, Query(alias="x")]
        model = create_model("Model", x=(annotation, default))

        def made() -> Callable[..., Any]:
            def plain(x: query = default) -> None: ...  # type: ignore[valid-type]

            def aliased(y: query = default) -> None: ...  # type: ignore[valid-type]

            def below(x: Annotated[Any, Depends(plain)]) -> None: ...

            def by_model(filters: Annotated[model, Query()]) -> None: ...  # type: ignore[valid-type]

            return {"name": plain, "alias": aliased, "dependency": below, "model": by_model}[place]

        app = FastAPI()
        app.get("/p")(cached(60, tags="x:{x}")(made()))
        app.put("/p")(invalidates(tags="x:{x}")(made()))
        table = RouteTable(app)
        table.check()
        got, put = table.resolve("GET", "/p"), table.resolve("PUT", "/p")

        tags = got.tags(got.values(b""), None)
        assert tags == got.tags(got.values(f"x={sent}".encode()), None)
        assert tags is not None
        dropped = table.dropped_by(put, put.values(b""), None)
        assert [Selector("tag", tag) for tag in tags] == dropped

    def test_a_parameter_without_a_stated_default_renders_as_nothing(self) -> None:
        """One that is made for each request, and one with several names."""
        app = FastAPI()

        @app.get("/p")
        @cached(60, tags="{none}:{empty}:{made}:{many}:{other}")
        def page(
            made: Annotated[str, Query(default_factory=str)],
            none: str | None = None,
            empty: Annotated[list[str], Query()] = [],  # noqa: B006
            many: Annotated[str, Query(validation_alias=AliasChoices("a", "b"))] = "x",
            other: Annotated[str, Query(validation_alias="another")] = "d",
        ) -> None: ...

        table = RouteTable(app)
        resolved = table.resolve("GET", "/p")

        assert resolved.tags(resolved.values(b"other=1"), None) == ("::::d",)
        assert resolved.tags(resolved.values(b"another=1"), None) == ("::::1",)

    def test_without_validation_texts_stay_as_they_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the framework's validation cannot be asked, nothing is guessed."""
        table = self.table()
        monkeypatch.setitem(sys.modules, "pydantic", None)
        parameters._reader.cache_clear()
        try:
            resolved = table.resolve("GET", "/p/007/x")
        finally:
            parameters._reader.cache_clear()

        assert resolved.texts == {"id": "007", "unit": "x"}

    def test_without_a_route_the_query_is_all_there_is(self) -> None:
        """Rules have templates too."""
        table = RouteTable(rules=[Rule("*", 60, tags="lang:{lang}")])
        resolved = table.resolve("GET", "/x")

        assert resolved.tags(resolved.values(b"lang=fr"), None) == ("lang:fr",)

    def test_tags_beyond_bounds_are_none(self) -> None:
        """The response is not to be stored then."""
        table = RouteTable(Starlette(routes=[Route("/{x}", cached(1, tags="{x}")(endpoint("x")))]))
        resolved = table.resolve("GET", "/" + "a" * 129)

        assert resolved.tags(resolved.values(b""), None) is None
        assert table.resolve("PUT", "/x").tags({}, None) == ()

    def test_callables_get_the_request(self) -> None:
        """What a template cannot say."""
        app = Starlette(routes=[Route("/x", cached(1, tags=lambda r: [r["user"]])(endpoint("x")))])
        table = RouteTable(app)

        assert table.resolve("GET", "/x").tags({}, {"user": "ann"}) == ("ann",)
