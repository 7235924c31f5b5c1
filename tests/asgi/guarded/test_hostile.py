"""What a hostile client does not get, and what odd applications get as they would alone."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from starlette.middleware.base import BaseHTTPMiddleware

from asgi_multitier import Policy, cached
from asgi_multitier.testing import FakeClock
from tests.patience import until
from tests.support import scope_of, settled

from .asking import Asking, user
from .office import status

AS_ONE = [("host", "ways"), ("authorization", "Bearer one")]


async def sent_by(app: Any, scope: Any = None) -> tuple[list[Any], BaseException | None]:
    """What an application sends for one request, and what it raises then."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    (error,) = await asyncio.gather(
        app(scope or scope_of("GET", "/x", AS_ONE), receive, send), return_exceptions=True
    )
    return sent, error


def failing(*, after: bool) -> tuple[FastAPI, list[bool]]:
    """An application that fails while the list is not empty: in its endpoint, or after it."""
    app, fails = FastAPI(title="Failing"), list[bool]()

    async def closing() -> AsyncIterator[None]:
        yield
        if fails and after:
            raise RuntimeError("gone")

    @app.get("/x", dependencies=[Depends(user), Depends(closing)])
    @cached(60, guarded=True, stale_if_error=600)
    async def x(tasks: BackgroundTasks) -> str:
        if fails and not after:
            raise RuntimeError("gone")
        return "x"

    return app, fails


@pytest.mark.parametrize("after", [False, True], ids=["endpoint", "dependency"])
async def test_what_fails_is_known_to_the_server(after: bool) -> None:
    """A hit, or what stands in, has been sent; the exception goes on, as without a cache."""
    app, fails = failing(after=after)
    clock = FakeClock()
    async with Asking(app, clock=clock) as ask:
        await ask("/x")
        fails.append(True)
        if not after:
            clock.advance(90)
        sent, error = await sent_by(ask.app)

    assert sent[0]["status"] in (200, 500)
    assert sent[0]["status"] == 200 or after
    assert isinstance(error, RuntimeError)


async def test_marks_that_are_given_one_policy_do_not_answer_for_each_other() -> None:
    """A dependency that calls a guarded function gets what that returns."""
    app, policy, got = FastAPI(title="Policies"), Policy(60, guarded=True), list[Any]()

    @cached(policy)
    async def part(request: Request) -> str:
        return "part"

    async def before(request: Request) -> None:
        got.append(await part(request))

    @app.get("/x", dependencies=[Depends(before)])
    @cached(policy)
    async def x(request: Request) -> str:
        return "x"

    async with Asking(app) as ask:
        answers = [await ask("/x") for _ in range(2)]

    assert [answer.json() for answer in answers] == ["x", "x"]
    assert status(answers[1]) == "hit detail=l1"
    assert got == ["part", "part"]


@pytest.mark.parametrize(
    ("value", "has_copy"),
    [
        (lambda name: name, True),
        (lambda name: f"{name} \u00e9", True),
        (lambda name: "x" * 5000 + name, True),
        (lambda name: (name, 1), True),
        (lambda name: name + "\ud800", False),
        (lambda _: True, False),
        (lambda name: 1.0 if name == "one" else 2.0, False),
        (lambda name: [name], False),
        (lambda _: None, False),
    ],
    ids=["text", "unicode", "long", "tuple", "surrogate", "bool", "float", "list", "none"],
)
async def test_a_template_gives_a_copy_only_for_what_can_be_told_apart(
    value: Callable[[str], Any], has_copy: bool
) -> None:
    """A truth value says that there is a user, not which one."""
    app = FastAPI(title="Values")

    def who(name: Annotated[str, Depends(user)]) -> Any:
        return {"name": name, "value": value(name)}

    def told_apart(found: Annotated[Any, Depends(who)]) -> Any:
        return type("Told", (), found)()

    @app.get("/x")
    @cached(60, guarded=True, vary_by="{told.value}")
    async def x(told: Annotated[Any, Depends(told_apart)]) -> str:
        return str(told.name)

    async with Asking(app) as ask:
        answers = [await ask("/x", token) for token in ("one", "two") * 2]

    assert [answer.json() for answer in answers] == ["one", "two"] * 2
    expected = "hit detail=l1" if has_copy else "fwd=bypass detail=partition"
    assert [status(answer) for answer in answers[2:]] == [expected] * 2


async def test_an_attribute_that_raises_bypasses_the_cache() -> None:
    """As a callable of the rule that raises does; it is logged."""
    app = FastAPI(title="Raises")

    class Broken:
        """A user of another kind."""

        @property
        def id(self) -> int:
            """None."""
            raise ValueError("no identifier")

    @app.get("/x")
    @cached(60, guarded=True, vary_by="{found.id}")
    async def x(found: Annotated[Any, Depends(Broken)]) -> str:
        return "x"

    async with Asking(app) as ask:
        assert status(await ask("/x")) == "fwd=bypass detail=partition"


async def test_an_endpoint_may_return_the_response_that_its_dependencies_have_set() -> None:
    """It has their fields and its own, on a hit those of the request."""
    app = FastAPI(title="Injected")

    def cookie(name: Annotated[str, Depends(user)], response: Response) -> None:
        response.set_cookie("of", name)

    @app.get("/x", dependencies=[Depends(cookie)])
    @cached(60, guarded=True)
    async def x(response: Response) -> Response:
        response.headers["X-Own"] = "1"
        return response

    async with Asking(app) as ask:
        answers = [await ask("/x", token) for token in ("one", "two", "one")]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer.headers["x-own"] for answer in answers] == ["1"] * 3
    assert ["one" in answer.headers["set-cookie"] for answer in answers] == [True, False, True]
    assert status(answers[1]) == "hit detail=l1"


async def test_what_a_layer_puts_in_place_of_a_hit_has_no_date() -> None:
    """That a client holds what was stored says nothing of it."""
    app = FastAPI(title="Blocks")

    @app.get("/x", dependencies=[Depends(user)])
    @cached(60, guarded=True)
    async def x() -> str:
        return "x"

    async def blocking(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return Response("blocked") if "x-block" in request.headers else response

    app.add_middleware(BaseHTTPMiddleware, dispatch=blocking)
    since = {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    async with Asking(app) as ask:
        for _ in range(2):
            await ask("/x")
        held = await ask("/x", **since)
        blocked = await ask("/x", **{"x-block": "1", **since})

    assert held.status_code == 304
    assert (blocked.status_code, blocked.text) == (200, "blocked")


@pytest.mark.parametrize("refuses", [False, True])
async def test_what_a_dependency_calls_and_leaves_is_not_its_request(refuses: bool) -> None:
    """It asks the application for the same as another user, past the cache, and so does a task."""
    app, inner, tasks = FastAPI(title="Nested"), list[str](), list[asyncio.Task[None]]()

    async def ask_as_two() -> None:
        # With a body announced, this request does not meet the cache.
        answer = await ask("/x", "two", expect="100-continue")
        inner.append(f"{answer.json()} {status(answer)}")

    async def before(name: Annotated[str, Depends(user)]) -> None:
        if name == "one":
            await ask_as_two()
            tasks.append(asyncio.create_task(ask_as_two()))
            if refuses:
                raise HTTPException(403)

    @app.get("/x", dependencies=[Depends(before)])
    @cached(60, guarded=True, vary_by="{name}")
    async def x(name: Annotated[str, Depends(user)]) -> str:
        return name

    async with Asking(app) as ask, asyncio.timeout(10):
        first = await ask("/x")
        await asyncio.gather(*tasks)
        again = await ask("/x")
        await asyncio.gather(*tasks)
        assert ask.manager.engine.flights._flights == {}

    assert inner == ["two fwd=bypass detail=request-body"] * 4
    if refuses:
        assert (first.status_code, again.status_code) == (403, 403)
    else:
        assert [first.json(), again.json()] == ["one", "one"]
        assert status(again) == "hit detail=l1"


@pytest.mark.parametrize("fails", [False, True])
async def test_what_only_one_may_have_is_not_given_to_those_who_wait(fails: bool) -> None:
    """A cookie or an exception of the endpoint; each of them runs it."""
    app, runs, gate = FastAPI(title="Waits"), list[str](), asyncio.Event()

    @app.get("/x")
    @cached(60, guarded="shared")
    async def x(name: Annotated[str, Depends(user)], response: Response) -> str:
        runs.append(name)
        await gate.wait()
        if fails:
            raise HTTPException(404, f"nothing for {name}", headers={"X-For": name})
        response.set_cookie("of", name)
        return name

    async with Asking(app) as ask:
        asked = [asyncio.create_task(ask("/x", token)) for token in ("one", "two")]
        await settled()
        gate.set()
        answers = await asyncio.gather(*asked)

    assert sorted(runs) == ["one", "two"]
    for name, answer in zip(("one", "two"), answers, strict=True):
        assert name in answer.text
        assert name in answer.headers["x-for" if fails else "set-cookie"]


async def test_a_layer_that_asks_twice_stores_what_its_endpoint_has_returned_once() -> None:
    """The second call of one request is answered by the endpoint alone."""
    app, runs = FastAPI(title="Retries"), list[int]()

    @app.get("/x", dependencies=[Depends(user)])
    @cached(60, guarded=True)
    async def x() -> int:
        runs.append(1)
        return len(runs)

    async def drop(message: Any) -> None:
        pass

    async def retrying(scope: Any, receive: Any, send: Any) -> None:
        await app(dict(scope), receive, drop)
        await app(dict(scope), receive, send)

    retrying.app = app  # type: ignore[attr-defined]  # so that its routes are found
    async with Asking(retrying) as ask:
        answers = [(await ask("/x", token)).json() for token in ("one", "two", "one")]

    assert answers == [2, 3, 4]


async def test_an_endpoint_that_a_decorator_runs_in_another_event_loop_answers_alone() -> None:
    """What the cache holds belongs to its own loop."""
    app = FastAPI(title="Elsewhere")

    def elsewhere(endpoint: Any) -> Any:
        @functools.wraps(endpoint)
        async def run(**arguments: Any) -> Any:
            return await asyncio.to_thread(lambda: asyncio.run(endpoint(**arguments)))

        return run

    @app.get("/x", dependencies=[Depends(user)])
    @elsewhere
    @cached(60, guarded=True)
    async def x() -> str:
        return "x"

    async with Asking(app) as ask:
        answers = [await ask("/x") for _ in range(2)]

    assert [answer.json() for answer in answers] == ["x", "x"]
    assert [status(answer) for answer in answers] == ["fwd=bypass detail=event-loop"] * 2


async def test_a_cache_that_is_closed_lets_those_who_wait_run_their_endpoints() -> None:
    """Each of them alone: there is nothing to join any more."""
    app, runs, gate = FastAPI(title="Closed"), list[int](), asyncio.Event()

    @app.get("/x", dependencies=[Depends(user)])
    @cached(60, guarded=True)
    async def x() -> int:
        runs.append(1)
        number = len(runs)
        await gate.wait()
        return number

    async with Asking(app) as ask, asyncio.timeout(10):
        asked = [asyncio.create_task(ask("/x", token)) for token in ("one", "two")]
        await until(lambda: ask.manager.stats().routes and runs)
        await settled()
        ask.manager._close_patience = 0.0
        await ask.manager.close()
        await settled()
        gate.set()
        answers = await asyncio.gather(*asked)

    assert sorted(answer.json() for answer in answers) == [1, 2]


async def test_no_file_is_sent_past_what_finishes_a_guarded_answer() -> None:
    """The server's own means of sending files are not offered to its application."""
    app, offered = FastAPI(title="Files"), list[Any]()

    @app.get("/x", dependencies=[Depends(user)])
    @cached(60, guarded=True)
    async def x(request: Request) -> str:
        offered.append(sorted(request.scope["extensions"]))
        return "x"

    scope = scope_of("GET", "/x", AS_ONE, extensions={"http.response.pathsend": {}, "tls": {}})
    async with Asking(app) as ask:
        sent, _ = await sent_by(ask.app, scope)

    assert sent[0]["status"] == 200
    assert offered == [["tls"]]
    assert "http.response.pathsend" in scope["extensions"]
