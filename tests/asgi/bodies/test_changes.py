"""Which POSTs are questions, where `when=` decides, as it does for GraphQL."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.responses import PlainTextResponse

from asgi_multitier import ConfigError, Policy, Rule, cached, invalidates, no_cache
from tests.asgi.bodies.support import JSON, Chunks, Reader, post, searches
from tests.support import caching


def asks(request: Any) -> bool:
    """Whether it is a question: GraphQL in one word."""
    return not bytes(request.body).startswith(b"mutation")


QUERIES = [*searches("/g", when=asks), Rule("/x", 300)]


async def test_what_is_no_question_is_a_change() -> None:
    """It runs each time, and drops the questions of its URL."""
    origin = Reader()
    async with caching(origin, QUERIES) as cache:
        for number in (1, 3, 5):
            first = await post(cache, b"query", target="/g")
            assert (await post(cache, b"query", target="/g")).hit
            change = await post(cache, b"mutation", target="/g")
            assert first.body == b"%d:query" % number
            assert change.body == b"%d:mutation" % (number + 1)
            assert change.cache == "fwd=method; detail=when"
        passes = cache.manager.stats().total.passes

    assert passes == {"when": 3}


@pytest.mark.parametrize("policy", [Policy(300), Policy.from_origin()])
async def test_the_answer_to_a_change_is_kept_for_nothing(policy: Policy) -> None:
    """Neither for a GET of its URL nor for the same POST, whatever it says of itself."""
    origin = Reader((b"cache-control", b"max-age=60"), (b"content-location", b"/g"))
    options: Any = {"methods": ["GET", "POST"], "body": True, "when": asks}
    async with caching(origin, [Rule("/g", policy, **options)]) as cache:
        for number in (1, 2):
            assert (await post(cache, b"mutation", target="/g")).body == b"%d:mutation" % number
        assert (await cache.get("/g")).body == b"3:"


async def test_a_query_that_is_no_question_changes_nothing_either() -> None:
    """QUERY is safe, whatever `when=` says: it is left to the application."""
    async with caching(Reader(), QUERIES) as cache:
        await post(cache, b"query", target="/g")
        reply = await post(cache, b"mutation", target="/g", method="QUERY")
        assert reply.cache == "fwd=bypass; detail=when"
        assert (await post(cache, b"query", target="/g")).hit


@pytest.mark.parametrize(
    "fields",
    [
        [("authorization", "x")],
        [("cookie", "a=1")],
        [("x-api-key", "k")],
        [("range", "bytes=0-")],
    ],
)
@pytest.mark.parametrize("settings", [{}, {"mode": "off"}])
async def test_questions_that_bypass_drop_nothing_and_changes_do(
    fields: Any, settings: dict[str, Any]
) -> None:
    """`when=` is asked whether the cache may answer or not."""
    async with caching(Reader(), QUERIES) as cache:
        await post(cache, b"query", target="/g")
        if settings:
            cache.manager.mode = "off"
        assert (await post(cache, b"query", *fields, target="/g")).cache.startswith("fwd=bypass")
        cache.manager.mode = "on"
        assert (await post(cache, b"query", target="/g")).hit
        assert (await post(cache, b"mutation", *fields, target="/g")).cache.startswith("fwd=method")
        assert not (await post(cache, b"query", target="/g")).hit


@pytest.mark.parametrize(
    ("visit", "length"),
    [
        pytest.param(lambda: Chunks([b"query" + b"x" * 10]), "15", id="longer-by-its-length"),
        pytest.param(lambda: Chunks([b"query", b"x" * 10]), None, id="longer-in-chunks"),
        pytest.param(lambda: Chunks([b"query"], leaves=True), None, id="left"),
    ],
)
@pytest.mark.parametrize("conditional", [False, True])
async def test_what_cannot_be_read_counts_as_a_change_where_that_is_possible(
    visit: Callable[[], Chunks], length: str | None, conditional: bool
) -> None:
    """Without `when=` every POST is a question, and one that is too long drops nothing."""
    rules = searches("/g", max_body=10, **({"when": asks} if conditional else {}))
    async with caching(Reader(), rules) as cache:
        await post(cache, b"query", target="/g")
        fields = [("content-length", length)] if length else []
        given = visit()
        await post(cache, b"", *fields, target="/g", visit=given, length=False)
        # The client that left was answered nothing, so nothing was changed for it.
        dropped = conditional and not given.leaves
        assert (await post(cache, b"query", target="/g")).hit is not dropped


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_when_that_fails_makes_a_change(asynchronous: bool) -> None:
    """It is not known to be a question; the failure is logged and counted."""

    def fails(request: Any) -> bool:
        raise ValueError("not GraphQL")

    async def fails_later(request: Any) -> bool:
        raise ValueError("not GraphQL")

    when = fails_later if asynchronous else fails
    origin = Reader()
    async with caching(origin, [*searches("/g", when=when), Rule("/x", 300)]) as cache:
        reply = await post(cache, target="/g")
        sent = cache.manager.invalidation_stats().sent

    assert reply.cache == "fwd=method; detail=when"
    assert origin.asked == [("POST", b"q")]
    assert sent > 0


async def test_a_refusal_of_when_is_answered_as_the_framework_would() -> None:
    """The endpoint does not run, and nothing is dropped."""
    app, runs = FastAPI(), list[bytes]()

    def refuses(request: Any) -> bool:
        if request.body == b"bad":
            raise HTTPException(400, "no GraphQL")
        return True

    @app.post("/g", response_class=PlainTextResponse)
    @cached(60, methods=["POST"], body=True, when=refuses)
    async def graph(request: Request) -> str:
        runs.append(await request.body())
        return "ok"

    async with caching(app, ()) as cache:
        await post(cache, b"good", target="/g")
        reply = await post(cache, b"bad", target="/g")
        assert (reply.status, reply.cache) == (400, "fwd=bypass; detail=when")
        assert (await post(cache, b"good", target="/g")).hit
        assert cache.manager.stats().total.passes == {"when": 1}

    assert runs == [b"good"]


async def test_a_change_drops_what_its_endpoint_names() -> None:
    """`@invalidates` and `@cached` on one endpoint, told apart by `when=`."""
    app = FastAPI()

    @app.get("/stock")
    @cached(60, tags=["stock"])
    async def stock() -> int:
        return 1

    @app.post("/g")
    @cached(60, methods=["POST"], body="json", when=asks)
    @invalidates(tags=["stock"])
    async def graph(request: Request) -> str:
        return "ok"

    async with caching(app, ()) as cache:
        await cache.get("/stock")
        await post(cache, b"query", JSON, target="/g")
        assert (await post(cache, b"query", JSON, target="/g")).hit
        assert (await cache.get("/stock")).hit
        await post(cache, b"mutation", JSON, target="/g")
        assert not (await cache.get("/stock")).hit
        assert not (await post(cache, b"query", JSON, target="/g")).hit


async def test_changes_of_an_endpoint_that_is_never_cached() -> None:
    """`@no_cache` is stronger than a rule for questions: its POSTs are changes."""
    app = FastAPI()

    @app.post("/g")
    @no_cache
    async def graph(request: Request) -> str:
        return "ok"

    async with caching(app, searches()) as cache:
        for _ in range(2):
            assert (await post(cache, target="/g")).cache == "fwd=method"
        assert cache.manager.invalidation_stats().sent > 0


@pytest.mark.parametrize(
    ("content", "dropped"),
    [
        pytest.param(b"mutation tea", {"tea"}, id="what-it-names"),
        pytest.param(b"mutation " + b"x" * 100, {"tea", "milk"}, id="too-long-to-know"),
    ],
)
async def test_callables_of_a_change_see_its_content(content: bytes, dropped: set[str]) -> None:
    """Where `when=` has seen it; else it is not known what is to be dropped, so all is."""
    app = FastAPI()

    @app.get("/stock/{name}")
    @cached(60, tags=["{name}"])
    async def stock(name: str) -> str:
        return name

    @app.post("/g")
    @cached(60, methods=["POST"], body=True, when=asks, max_body=50)
    @invalidates(tags=lambda request: request.body.split()[1].decode())
    async def graph(request: Request) -> str:
        return (await request.body()).decode()

    async with caching(app, ()) as cache:
        for name in ("tea", "milk"):
            await cache.get(f"/stock/{name}")
        assert content in (await post(cache, content, target="/g")).body
        kept = {name for name in ("tea", "milk") if (await cache.get(f"/stock/{name}")).hit}

    assert kept == {"tea", "milk"} - dropped


@pytest.mark.parametrize("override", [False, True])
@pytest.mark.parametrize("when", [None, asks])
async def test_a_rule_for_questions_over_an_endpoint_that_invalidates(
    override: bool, when: Callable[[Any], bool] | None
) -> None:
    """What the endpoint says is stronger, unless `when=` tells its POSTs apart."""
    app, runs = FastAPI(), list[bytes]()

    @app.api_route("/g", methods=["GET", "POST", "QUERY"])
    @invalidates(tags=["stock"])
    async def graph(request: Request) -> None:
        runs.append(await request.body())

    @app.get("/stock")
    @cached(60, tags=["stock"])
    async def stock() -> int:
        return 1

    async with caching(app, searches("/g", when=when, override=override)) as cache:
        for method in ("GET", "QUERY"):
            await post(cache, b"", target="/g", method=method)
            assert (await post(cache, b"", target="/g", method=method)).hit
        await cache.get("/stock")
        runs.clear()
        await post(cache, b"query", target="/g")
        again = await post(cache, b"query", target="/g")
        assert again.cache == ("hit; ttl=300; detail=l1" if when else "fwd=method")
        assert (await cache.get("/stock")).hit is bool(when)

    assert runs == [b"query"] * (1 if when else 2)


@pytest.mark.parametrize("options", [{}, {"when": asks}])
def test_a_post_is_a_question_or_names_what_it_changes(options: dict[str, Any]) -> None:
    """Where every POST is a question, `@invalidates` would do nothing."""

    async def graph(request: Any) -> None: ...

    mark = cached(60, methods=["POST"], body=True, **options)
    if options:
        assert mark(invalidates(tags="a")(graph)) is graph
        return
    with pytest.raises(ConfigError, match=r"a cached POST cannot invalidate.*body= with a when="):
        mark(invalidates(tags="a")(graph))


@pytest.mark.parametrize("fields", [[], [("authorization", "x")]], ids=["met", "bypassed"])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    ("path", "method", "dropped"),
    [
        pytest.param("/buy", "POST", True, id="a-change"),
        pytest.param("/buy", "QUERY", False, id="safe"),
        pytest.param("/other", "POST", False, id="names-nothing"),
        pytest.param("/g", "POST", False, id="as-predicted"),
    ],
)
async def test_a_question_that_turns_out_to_be_a_change(
    path: str, method: str, dropped: bool, fails: bool, fields: list[tuple[str, str]]
) -> None:
    """A layer inside of the cache gives the router another path: what is named there is dropped."""
    app = FastAPI()

    def answer() -> str:
        if fails:
            raise RuntimeError("after its change")
        return "done"

    both = ["POST", "QUERY"]
    app.add_api_route("/g", cached(60, methods=both, body=True)(lambda: answer()), methods=both)
    app.add_api_route("/buy", invalidates(tags=["stock"])(lambda: answer()), methods=both)
    app.add_api_route("/other", answer, methods=both)
    app.add_api_route("/stock", cached(60, tags=["stock"])(lambda: 1))

    async def rewriting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/g":
            scope["path"], scope["raw_path"] = path, path.encode()
        await app(scope, receive, send)

    rewriting.app = app  # type: ignore[attr-defined]  # so that its routes are found
    async with caching(rewriting, ()) as cache:
        await cache.get("/stock")
        for _ in range(2):
            with suppress(RuntimeError):
                await post(cache, b"q", *fields, target="/g", method=method)
            assert (await cache.get("/stock")).hit is not dropped
