"""What lies between the cache and a guarded endpoint: layers, decorators, ways to guard it."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer, SecurityScopes
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    SimpleUser,
    requires,
)
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Policy, Rule, cached

from .office import status

key = APIKeyHeader(name="x-api-key")
Next = Callable[[Request], Awaitable[Response]]


def guard(token: Annotated[str, Depends(key)]) -> str:
    """One of the known keys."""
    if not token.startswith("k"):
        raise HTTPException(401)
    return token


def client_of(app: Any) -> httpx.AsyncClient:
    """A client of the application behind a cache of its own."""
    cached_app = CacheMiddleware(app, CacheManager(redis_url=None, namespace="layers"))
    transport = httpx.ASGITransport(cached_app, raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://layers", headers={"x-api-key": "k1"}
    )


async def twice(app: Any, path: str = "/x", **fields: str) -> list[httpx.Response]:
    """Two requests of two users."""
    async with client_of(app) as client:
        first = await client.get(path, headers=fields)
        return [first, await client.get(path, headers={"x-api-key": "k2", **fields})]


def simple(mark: Any = None, **route: Any) -> tuple[FastAPI, list[str]]:
    """An application with one guarded route."""
    app, runs = FastAPI(title="Layers"), list[str]()

    @app.get("/x", dependencies=[Depends(guard)], **route)
    @(mark or cached(60, guarded=True))
    async def x() -> dict[str, str]:
        """Say x."""
        runs.append("x")
        return {"x": "y" * 2000}

    return app, runs


async def test_a_layer_between_sees_each_response_once() -> None:
    """A request's own identifier is on a hit as on a miss, once, and not stored."""
    app, runs = simple()
    ids: Iterator[int] = iter(range(9))

    async def identify(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        response.headers["x-request"] = str(next(ids))
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=identify)
    first, again = await twice(app)

    assert [one.headers.get_list("x-request") for one in (first, again)] == [["0"], ["1"]]
    assert (runs, status(again)) == (["x"], "hit detail=l1")
    assert first.headers["etag"] == again.headers["etag"]
    assert first.json() == again.json()


async def test_compression_between_is_of_each_client() -> None:
    """Its content has a validator of its own, and a client without gzip gets none."""
    app, runs = simple()
    app.add_middleware(GZipMiddleware)
    async with client_of(app) as client:
        plain = await client.get("/x", headers={"accept-encoding": "identity"})
        packed = await client.get("/x", headers={"accept-encoding": "gzip"})
        again = await client.get("/x", headers={"accept-encoding": "identity"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.json() == packed.json() == again.json()
    assert plain.headers["etag"] == again.headers["etag"] != packed.headers["etag"]
    assert runs == ["x"]


def streaming(*, breaks: bool = False) -> tuple[FastAPI, list[str]]:
    """An application with a guarded stream, whose source may be gone in the first run."""
    app, runs = FastAPI(title="Streams"), list[str]()

    @app.get("/x", dependencies=[Depends(guard)])
    @cached(60, guarded=True)
    async def x() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            runs.append("x")
            yield "one, "
            if breaks and len(runs) == 1:
                raise RuntimeError("the source is gone")
            yield "two"

        return StreamingResponse(chunks(), media_type="text/plain")

    return app, runs


async def test_a_streamed_answer_is_stored_and_reaches_its_client_as_it_comes() -> None:
    """A hit has all of it."""
    app, runs = streaming()
    first, again = await twice(app)

    assert (first.text, again.text) == ("one, two", "one, two")
    assert (runs, status(again)) == (["x"], "hit detail=l1")


async def test_a_stream_that_breaks_is_not_stored() -> None:
    """What came of it is its client's."""
    app, runs = streaming(breaks=True)
    _, again = await twice(app)

    assert again.text == "one, two"
    assert len(runs) == 2


async def test_a_stream_that_no_layer_wants_holds_no_request() -> None:
    """Its source is never asked, so its end is not waited for."""
    app, runs = streaming()

    async def headless(scope: Any, receive: Any, send: Any) -> None:
        async def only_start(message: Any) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                raise StopAsyncIteration

        with suppress(StopAsyncIteration, RuntimeError, BaseExceptionGroup):
            await app(scope, receive, only_start)

    headless.app = app  # type: ignore[attr-defined]  # so that its routes are found
    async with asyncio.timeout(5):
        first, _ = await twice(headless)

    assert (first.status_code, status(first)) == (200, "fwd=uri-miss")
    assert runs == []


async def test_a_file_is_its_clients_alone(tmp_path: Path) -> None:
    """It is sent by the framework's own means."""
    (tmp_path / "it.txt").write_text("a file")
    app = FastAPI(title="Files")

    @app.get("/x", dependencies=[Depends(guard)])
    @cached(60, guarded=True)
    async def x() -> FileResponse:
        return FileResponse(tmp_path / "it.txt")

    first, again = await twice(app)

    assert first.text == again.text == "a file"
    assert "hit" not in status(again)


async def test_what_a_handler_makes_of_an_exception_is_its_clients_alone() -> None:
    """Also where it says that all is well."""
    app, runs = FastAPI(title="Handled"), list[str]()

    class NothingError(Exception):
        """There is nothing."""

    @app.exception_handler(NothingError)
    async def handled(request: Request, error: Exception) -> Response:
        return Response(f"nothing for {request.headers['x-api-key']}")

    @app.get("/x", dependencies=[Depends(guard)])
    @cached(60, guarded=True)
    async def x() -> str:
        runs.append("x")
        raise NothingError

    answers = await twice(app)

    assert [answer.text for answer in answers] == ["nothing for k1", "nothing for k2"]
    assert len(runs) == 2


@pytest.mark.parametrize(
    "route",
    [
        {},
        {"status_code": 201},
        {"response_class": HTMLResponse, "response_model": None},
        {"response_model": dict[str, str]},
    ],
)
async def test_a_guarded_route_answers_as_without_a_mark(route: dict[str, Any]) -> None:
    """Status, type and content are those of the framework."""
    bare, _ = simple(lambda endpoint: endpoint, **route)
    app, _ = simple(**route)
    expected = (await twice(bare))[0]

    for answer in await twice(app):
        assert answer.status_code == expected.status_code
        assert answer.content == expected.content
        for name in ("content-type", "content-length"):
            assert answer.headers.get(name) == expected.headers.get(name)


def test_the_documentation_of_an_application_stays_as_it_is() -> None:
    """The mark adds no parameter, and takes no dependency away."""
    bare, _ = simple(lambda endpoint: endpoint)
    app, _ = simple()

    assert app.openapi() == bare.openapi()


async def test_scopes_overrides_and_routers_included_twice() -> None:
    """The framework's own means stand before each hit."""
    oauth, app, router = OAuth2PasswordBearer(tokenUrl="t"), FastAPI(title="Scopes"), APIRouter()
    runs: list[str] = []

    def user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth)]) -> str:
        if token not in ("one", "two"):
            raise HTTPException(403)
        return token

    @router.get("/x")
    @cached(60, guarded=True, vary_by="{name}")
    def x(name: Annotated[str, Depends(user)], request: Request) -> dict[str, str]:
        runs.append(request.url.path)
        return {"name": name}

    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    async with client_of(app) as client:
        for path in ("/a/x", "/b/x"):
            for token in ("one", "two", "one"):
                answer = await client.get(path, headers={"authorization": f"Bearer {token}"})
                assert answer.json() == {"name": token}
        assert (await client.get("/a/x", headers={"authorization": "Bearer no"})).status_code == 403
        app.dependency_overrides[user] = lambda: "tester"
        assert (await client.get("/a/x")).json() == {"name": "tester"}

    assert runs == ["/a/x"] * 2 + ["/b/x"] * 2 + ["/a/x"]


class Backend(AuthenticationBackend):
    """A user is who the key says."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        """The user of a request."""
        name = conn.headers.get("x-api-key", "")
        return (AuthCredentials(["authenticated"]), SimpleUser(name)) if name[:1] == "k" else None


def starlette(runs: list[str]) -> Starlette:
    """An application of Starlette, with its ways to guard an endpoint."""

    @requires("authenticated")
    @cached(60, guarded=True)
    async def same(request: Any) -> PlainTextResponse:
        runs.append("same")
        return PlainTextResponse("same for all")

    @requires("authenticated")
    @cached(60, guarded=True)
    async def greets(request: Any) -> PlainTextResponse:
        runs.append("greets")
        return PlainTextResponse(request.user.display_name)

    @requires("authenticated")
    @cached(60, guarded=True, vary_by="{request.user.display_name}")
    def own(request: Any) -> JSONResponse:
        runs.append("own")
        return JSONResponse({"name": request.user.display_name})

    class Page(HTTPEndpoint):
        @requires("authenticated")
        @cached(60, guarded=True, vary_by=lambda request: request.user.display_name)
        async def get(self, request: Any) -> PlainTextResponse:
            runs.append("page")
            return PlainTextResponse(self.scope["user"].display_name)

    class Shown(HTTPEndpoint):
        @requires("authenticated")
        @cached(60, guarded=True, vary_by="{request.user.display_name}")
        async def get(self, request: Any) -> PlainTextResponse:
            runs.append("shown")
            return PlainTextResponse(request.user.display_name)

    routes = [
        Route("/same", same),
        Route("/greets", greets),
        Route("/shown", Shown),
        Mount("/in", routes=[Route("/own", own)]),
        Route("/page", Page),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(AuthenticationMiddleware, backend=Backend())]
    )


@pytest.mark.parametrize(
    ("path", "texts", "number"),
    [
        ("/same", ["same for all"] * 2, 1),
        ("/greets", ["k1", "k2"], 4),
        ("/in/own", ['{"name":"k1"}', '{"name":"k2"}'], 2),
        ("/page", ["k1", "k2"], 2),
        ("/shown", ["k1", "k2"], 2),
    ],
)
async def test_starlette(path: str, texts: list[str], number: int) -> None:
    """What reads the user has a copy for each, or is not shared; strangers are refused."""
    runs: list[str] = []
    app = starlette(runs)
    async with client_of(app) as client:
        for _ in range(2):
            answers = [await client.get(path, headers={"x-api-key": key}) for key in ("k1", "k2")]
        ran = len(runs)
        refused = await client.get(path, headers={"x-api-key": "stranger"})
        head = await client.head(path)

    assert [answer.text for answer in answers] == texts
    assert ran == number
    assert refused.status_code == 403
    assert (head.status_code, head.content) == (200, b"")


def _plain(request: Any) -> None:
    """An endpoint."""


def _below_with_wraps(endpoint: Any) -> Any:
    @functools.wraps(endpoint)
    async def checked(*args: Any, **kwargs: Any) -> Any:
        return await endpoint(*args, **kwargs)

    return checked


def _below_without_wraps(endpoint: Any) -> Any:
    async def checked(request: Any) -> Any:
        return await endpoint(request)

    return checked


async def _generator(request: Any) -> AsyncIterator[str]:
    yield "x"


class _Callable:
    async def __call__(self, request: Any) -> None:
        """An endpoint."""


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (_below_with_wraps(_plain), "a decorator below"),
        (_below_without_wraps(_plain), "a decorator below"),
        (_generator, "a generator"),
        (_Callable(), "no function"),
        (HTTPEndpoint, "mark its methods"),
    ],
)
def test_what_a_hit_would_skip_is_refused(endpoint: Any, said: str) -> None:
    """The mark stands directly on the function."""
    with pytest.raises(ConfigError, match=said):
        cached(60, guarded=True)(endpoint)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"guarded": "all"}, "guarded='all'"),
        ({"guarded": True, "public": True}, "public"),
        ({"guarded": True, "negative": 5}, "negative"),
        ({"guarded": True, "ignore_cookies": True}, "ignore_cookies"),
        ({"guarded": "shared", "vary_by": "{user}"}, "shared"),
        ({"guarded": True, "vary_by": "all"}, "at least one place"),
        ({"guarded": True, "vary_by": "{user._key}"}, "places|placeholders"),
        ({"vary_by": "{user.id}"}, "needs guarded=True"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], said: str) -> None:
    """Each says what to write."""
    with pytest.raises(ConfigError, match=said):
        Policy(60, **options)


def test_only_an_endpoint_can_stand_behind_its_guard() -> None:
    """A rule and a default cannot."""
    with pytest.raises(ConfigError, match="guarded"):
        Rule("/x", 60, guarded=True)
    with pytest.raises(ConfigError, match="guarded"):
        CacheMiddleware(FastAPI(), default=Policy(60, guarded=True))


def _reads_key(name: Annotated[str, Depends(key)]) -> str:
    return name


def _reads_request(request: Request) -> str:
    return str(request.cookies.get("user"))


@pytest.mark.parametrize("dependency", [key, _reads_key, _reads_request])
async def test_an_endpoint_that_takes_who_asks_must_say_for_whom_it_is(dependency: Any) -> None:
    """`guarded=True` alone would give one user's answer to all."""
    app = FastAPI(title="Takes")

    @app.get("/x")
    @cached(60, guarded=True)
    async def x(user: Annotated[Any, Depends(dependency)]) -> str:
        return str(user)

    manager = CacheManager(redis_url=None, namespace="takes")
    with pytest.raises(ConfigError, match=r"vary_by=.*guarded='shared'"):
        CacheMiddleware(app, manager)._lifespan.bind({"app": app})


async def test_parts_of_a_partition_do_not_run_together() -> None:
    """`{a}:{b}` of "1:2" and "3" is another than of "1" and "2:3"; None has no copy."""
    app, runs = FastAPI(title="Parts"), list[str]()

    def pair(request: Request) -> Any:
        a, b = request.headers["x-pair"].split("|")
        return type("Pair", (), {"a": a, "b": b or None, "n": int(a) if a.isdigit() else a})()

    @app.get("/x")
    @cached(60, guarded=True, vary_by="{pair.a}:{pair.b}")
    async def x(pair: Annotated[Any, Depends(pair)]) -> str:
        runs.append(f"{pair.a}|{pair.b}")
        return f"{pair.a}|{pair.b}"

    async with client_of(app) as client:
        for text in ("1:2|3", "1|2:3", "1:2|3"):
            assert (await client.get("/x", headers={"x-pair": text})).json() == text
        without = await client.get("/x", headers={"x-pair": "1|"})

    assert runs == ["1:2|3", "1|2:3", "1|None"]
    assert status(without) == "fwd=bypass detail=partition"


async def test_what_a_guard_has_let_out_is_not_found_without_it() -> None:
    """Nor the other way round."""
    manager = CacheManager(redis_url=None, namespace="removed")
    guarded, runs = simple()
    public, others = simple(cached(60, public=True))
    for app in (guarded, public, guarded, public):
        transport = httpx.ASGITransport(CacheMiddleware(app, manager))
        async with httpx.AsyncClient(transport=transport, base_url="http://layers") as client:
            await client.get("/x", headers={"x-api-key": "k1"})

    assert (runs, others) == (["x"], ["x"])
    await manager.close()


async def test_two_hits_whose_starts_are_held_at_once_keep_their_own_fields() -> None:
    """A layer may wait between the start of an answer and its content."""
    app, holds = FastAPI(title="Held"), [asyncio.Event(), asyncio.Event()]

    def cookie(token: Annotated[str, Depends(guard)], response: Response) -> None:
        if token != "k1":
            response.set_cookie("of", token)

    @app.get("/x", dependencies=[Depends(cookie)])
    @cached(60, guarded=True)
    async def x() -> dict[str, str]:
        return {"x": "y"}

    async def holding(scope: Any, receive: Any, send: Any) -> None:
        async def held(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.start" and waits:
                holds[0].set()
                await waits.pop().wait()

        await app(scope, receive, held)

    holding.app = app  # type: ignore[attr-defined]  # so that its routes are found
    waits: list[asyncio.Event] = []
    async with client_of(holding) as client:
        for _ in range(2):
            await client.get("/x")
        waits.append(holds[1])
        first = asyncio.create_task(client.get("/x"))
        await holds[0].wait()
        other = await client.get("/x", headers={"x-api-key": "k2"})
        holds[1].set()

        assert "k2" in other.headers["set-cookie"]
        assert "set-cookie" not in (await first).headers
        assert (await first).json() == {"x": "y"}
