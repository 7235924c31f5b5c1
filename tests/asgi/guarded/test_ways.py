"""The ways in which FastAPI lets an endpoint be guarded, included, mounted and wrapped."""

import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import httpx
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    HTTPException,
    Request,
    Response,
    Security,
    WebSocket,
)
from fastapi.routing import APIRoute

from asgi_multitier import CacheMiddleware, ConfigError, cached

from .asking import Asking, memory, user
from .office import status


def as_views(router: APIRouter, view: type) -> None:
    """Make views of the methods of a class: `self` becomes a dependency, by the signature."""
    for route in router.routes:
        assert isinstance(route, APIRoute)
        first, *others = inspect.signature(route.endpoint).parameters.values()
        parameters = [
            first.replace(default=Depends(view), kind=inspect.Parameter.KEYWORD_ONLY),
            *(other.replace(kind=inspect.Parameter.KEYWORD_ONLY) for other in others),
        ]
        route.endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]


def views(vary_by: str | None, runs: list[str]) -> FastAPI:
    """An application with a view of a class that takes the user."""
    app, router = FastAPI(title="Views"), APIRouter()

    class Items:
        """Views of one user."""

        def __init__(self, name: Annotated[str, Depends(user)]) -> None:
            self.name = name

        @router.get("/items/{number}")
        @cached(60, guarded=True, vary_by=vary_by, tags=["item:{number}"])
        async def item(self, number: int) -> dict[str, Any]:
            runs.append(f"{number} of {self.name}")
            return {"number": number, "name": self.name}

    as_views(router, Items)
    again = APIRouter()
    for route in router.routes:
        assert isinstance(route, APIRoute)
        again.add_api_route(route.path, route.endpoint, methods=["GET"])
    app.include_router(again)
    return app


async def test_views_of_a_class_are_told_apart_by_what_it_took() -> None:
    """A template may name what `self` holds."""
    runs: list[str] = []
    async with Asking(views("{self.name}", runs)) as ask:
        for _ in range(2):
            for token in ("one", "two"):
                answer = await ask("/items/7", token)
                assert answer.json() == {"number": 7, "name": token}
        assert (await ask("/items/7", "stranger")).status_code == 401
        await ask.manager.invalidate_tags("item:7")
        await ask("/items/7")

    assert runs == ["7 of one", "7 of two", "7 of one"]


def test_a_view_that_holds_the_user_must_say_for_whom_it_is() -> None:
    """As an endpoint that takes the user itself."""
    middleware = CacheMiddleware(views(None, []), memory())

    with pytest.raises(ConfigError, match=r"vary_by=.*guarded='shared'"):
        middleware._lifespan.bind({"app": middleware.app})


async def test_scopes_are_asked_for_on_each_hit() -> None:
    """The same guard with other scopes is another guard."""
    app, runs = FastAPI(title="Scopes"), list[str]()

    @app.get("/read")
    @cached(60, guarded="shared")
    async def read(name: Annotated[str, Security(user, scopes=["read"])]) -> str:
        runs.append("read")
        return "read"

    @app.get("/write")
    @cached(60, guarded="shared")
    async def write(name: Annotated[str, Security(user, scopes=["write"])]) -> str:
        runs.append("write")
        return "write"

    async with Asking(app) as ask:
        for path, token, code in (
            ("/write", "one", 403),
            ("/write", "two", 200),
            ("/write", "one", 403),
            ("/read", "one", 200),
            ("/read", "two", 200),
            ("/read", "stranger", 401),
        ):
            assert (await ask(path, token)).status_code == code

    assert runs == ["write", "read"]


async def test_a_router_included_twice_stands_behind_two_guards() -> None:
    """Who is let in at one place gets nothing at the other."""
    app, router, runs = FastAPI(title="Twice"), APIRouter(), list[str]()

    @router.get("/x")
    @cached(60, guarded=True)
    async def x() -> str:
        runs.append("x")
        return "x"

    for prefix, scope in (("/read", "read"), ("/write", "write")):
        app.include_router(router, prefix=prefix, dependencies=[Security(user, scopes=[scope])])
    async with Asking(app) as ask:
        codes = [
            (await ask(path, token)).status_code
            for path in ("/read/x", "/write/x")
            for token in ("two", "one", "two", "stranger")
        ]

    assert codes == [200, 200, 200, 401, 200, 403, 200, 401]
    assert runs == ["x", "x"]


async def test_an_override_of_a_dependency_counts_from_the_next_request_on() -> None:
    """Also where an answer is stored already: the override is the guard then."""
    app = FastAPI(title="Overrides")

    @app.get("/x", dependencies=[Depends(user)])
    @cached(60, guarded=True)
    async def x() -> str:
        return "x"

    def refuses() -> None:
        raise HTTPException(418)

    async with Asking(app) as ask:
        await ask("/x")
        app.dependency_overrides[user] = refuses
        assert (await ask("/x")).status_code == 418
        app.dependency_overrides[user] = lambda: None
        assert status(await ask("/x", None)) == "hit detail=l1"
        app.dependency_overrides.clear()
        assert (await ask("/x", None)).status_code == 401


class Stamped(APIRoute):
    """A route whose handler stamps each answer, and refuses who is not let in by a field."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, in one of the route's own."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            if "x-refused" in request.headers:
                return Response("refused", status_code=403)
            response = await inner(request)
            response.headers["X-Stamp"] = request.headers.get("x-number", "none")
            return response

        return handler


async def test_a_route_class_of_the_applications_own_handles_each_request() -> None:
    """What its handler adds is of one request; what it refuses is not let in."""
    app, router = FastAPI(title="Stamps"), APIRouter(route_class=Stamped)

    @router.get("/x", dependencies=[Depends(user)])
    @cached(60, guarded=True)
    async def x() -> dict[str, int]:
        return {"x": 1}

    app.include_router(router)
    async with Asking(app) as ask:
        answers = [await ask("/x", **{"x-number": number}) for number in "123"]
        refused = await ask("/x", **{"x-refused": "1"})
        again = await ask("/x")

    assert [answer.headers["x-stamp"] for answer in answers] == ["1", "2", "3"]
    assert [status(answer) for answer in answers[1:]] == ["hit detail=l1"] * 2
    assert (refused.status_code, refused.text) == (403, "refused")
    assert status(refused) == "fwd=bypass detail=guard"
    assert (again.headers["x-stamp"], again.json()) == ("none", {"x": 1})


@pytest.mark.parametrize("around", ["outer", "inner"])
async def test_a_mounted_application_is_guarded_where_it_is_mounted(around: str) -> None:
    """With the cache around the outer application, and around the mounted one."""
    inner, runs = FastAPI(title="Inner"), list[str]()

    @inner.get("/x")
    @cached(60, guarded=True, vary_by="{name}", tags=["x"])
    async def x(name: Annotated[str, Depends(user)]) -> dict[str, str]:
        runs.append(name)
        return {"name": name}

    outer = FastAPI(title="Outer")
    manager = memory()
    if around == "inner":
        inner.add_middleware(CacheMiddleware, cache=manager)
    for path in ("/a", "/b"):
        outer.mount(path, inner)
    app = CacheMiddleware(outer, manager) if around == "outer" else outer
    transport = httpx.ASGITransport(app)
    async with manager, httpx.AsyncClient(transport=transport, base_url="http://ways") as client:
        for path in ("/a/x", "/b/x"):
            for token in ("one", "two", "one", "stranger"):
                answer = await client.get(path, headers={"authorization": f"Bearer {token}"})
                expected = (401, None) if token == "stranger" else (200, token)
                assert (answer.status_code, answer.json().get("name")) == expected
        await manager.invalidate_tags("x")
        await client.get("/a/x", headers={"authorization": "Bearer one"})

    assert runs == ["one", "two"] * 2 + ["one"]


async def test_an_endpoint_that_blocks_runs_in_a_thread_and_a_hit_does_not() -> None:
    """So a hit waits for no thread of the pool."""
    app, threads = FastAPI(title="Threads"), list[int]()

    @app.get("/x", dependencies=[Depends(user)])
    @cached(60, guarded=True)
    def x() -> str:
        threads.append(threading.get_ident())
        return "x"

    async with Asking(app) as ask:
        answers = [await ask("/x") for _ in range(3)]

    assert [answer.json() for answer in answers] == ["x"] * 3
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_what_a_dependency_leaves_to_do_is_done_on_each_request() -> None:
    """The endpoint's own tasks are those of a run."""
    app, done = FastAPI(title="Tasks"), list[str]()

    def audited(request: Request, tasks: BackgroundTasks) -> None:
        tasks.add_task(done.append, f"audit {request.headers['x-number']}")

    @app.get("/x", dependencies=[Depends(audited)])
    @cached(60, guarded=True)
    async def x(tasks: BackgroundTasks) -> str:
        tasks.add_task(done.append, "run")
        return "x"

    async with Asking(app) as ask:
        answers = [await ask("/x", **{"x-number": number}) for number in "12"]

    assert status(answers[1]) == "hit detail=l1"
    assert done == ["audit 1", "run", "audit 2"]


async def test_a_websocket_beside_a_guarded_route_is_none() -> None:
    """Its function is called with the same dependencies, past the cache."""
    app = FastAPI(title="Sockets")

    @app.get("/x", dependencies=[Depends(lambda: None)])
    @cached(60, guarded=True)
    async def x() -> str:
        return "x"

    @app.websocket("/x")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await x())
        await socket.close()

    async with Asking(app) as ask:
        for _ in range(2):
            assert (await ask("/x")).json() == "x"
            sent = await talked(ask.app, "/x")
            assert [message.get("text") for message in sent] == [None, "x", None]
        assert ask.manager.stats().routes["/x"].total_hits == 1


async def talked(app: Any, path: str) -> list[Any]:
    """What an application sends on a websocket that says nothing."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": [(b"host", b"ways")], "scheme": "ws", "subprotocols": []}
    await app(scope, receive, send)
    return sent


async def test_a_route_of_get_and_head_answers_both_out_of_one_entry() -> None:
    """A HEAD runs the guard as well, and fills what a GET finds."""
    app, runs = FastAPI(title="Heads"), list[str]()

    @app.api_route("/x", methods=["GET", "HEAD"], dependencies=[Depends(user)])
    @cached(60, guarded=True)
    async def x(request: Request) -> str:
        runs.append(request.method)
        return "x"

    async with Asking(app) as ask:
        head = await ask("/x", method="HEAD")
        got = await ask("/x")
        again = await ask("/x", method="HEAD")
        refused = await ask("/x", "stranger", method="HEAD")

    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "3")
    assert (got.json(), status(got)) == ("x", "hit detail=l1")
    assert (again.content, again.headers["etag"]) == (b"", got.headers["etag"])
    assert status(again) == "hit detail=l1"
    assert refused.status_code == 401
    assert len(runs) == 1
