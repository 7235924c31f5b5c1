"""On every request the guard runs; on a hit the endpoint does not."""

import asyncio
import gc
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response

from asgi_multitier import CacheManager, CacheMiddleware, cached
from asgi_multitier.asgi.guarded import GuardedExchange
from asgi_multitier.asgi.guarded.leaving import Leaving

from .office import Office, status


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """The application, and its cache closed at the end."""
    found = Office()
    async with found.client:
        yield found
    await found.manager.close()


async def test_each_user_has_a_copy_and_the_endpoint_runs_once(office: Office) -> None:
    """A hit looks as the miss did."""
    first = await office.get("/orders/7")
    again = await office.get("/orders/7")
    other = await office.get("/orders/7", "t2")

    assert first.json() == again.json() == {"number": 7, "owner": "u1", "price": 1}
    assert other.json()["owner"] == "u2"
    assert office.runs == ["order 7 of u1", "order 7 of u2"]
    assert (status(first), status(again)) == ("fwd=uri-miss stored", "hit detail=l1")
    assert first.headers["etag"] == again.headers["etag"]
    assert again.headers["cache-control"] == "private, no-cache"
    assert again.headers["content-type"] == "application/json"


async def test_what_a_dependency_sets_reaches_this_client_alone(office: Office) -> None:
    """Each request has its own limit and its own cookie, on a miss and on a hit."""
    first, again = await office.get("/shared"), await office.get("/shared", "t2")

    assert (first.headers["x-limit-left"], again.headers["x-limit-left"]) == ("1", "2")
    assert "u1" in first.headers["set-cookie"]
    assert "u2" in again.headers["set-cookie"]
    assert office.runs == ["shared"]


async def test_a_response_of_the_endpoint_drops_such_fields_as_fastapi_does(
    office: Office,
) -> None:
    """On a hit as on a miss; background tasks are those of a run."""
    first, again = await office.get("/ready"), await office.get("/ready")

    assert "x-limit-left" not in first.headers
    assert "x-limit-left" not in again.headers
    assert first.headers["x-own"] == again.headers["x-own"] == "1"
    assert not any("own-fields" in name for name in (*first.headers, *again.headers))
    assert (first.content, again.content) == (b"ready", b"ready")
    assert office.background == ["done"]
    assert status(again) == "hit detail=l1"


@pytest.mark.parametrize("token", ["stranger", None])
async def test_a_refusal_is_its_clients_alone(office: Office, token: str | None) -> None:
    """It is not stored, and what is stored does not answer who is refused."""
    await office.get("/prices")
    refused = await office.get("/prices", token)

    assert refused.status_code in (401, 403)
    assert status(refused) == "fwd=bypass detail=guard"
    assert office.manager.stats().routes["/prices"].passes == {"guard": 1}
    assert status(await office.get("/prices", "t2")) == "hit detail=l1"


async def test_a_revoked_token_is_refused_at_once(office: Office) -> None:
    """A hit asks first."""
    await office.get("/prices")
    del office.tokens["t1"]

    assert (await office.get("/prices")).status_code == 401


async def test_conditions_ranges_and_heads_are_answered_out_of_the_whole(office: Office) -> None:
    """By the content that leaves."""
    tag = (await office.get("/prices")).headers["etag"]
    unchanged = await office.get("/prices", if_none_match=tag)
    part = await office.get("/prices", range="bytes=0-3")
    head = await office.client.head("/prices", headers={"authorization": "Bearer t1"})

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (part.status_code, part.content) == (206, b'{"pa')
    assert head.status_code == 405
    assert office.runs == ["prices"]


@pytest.mark.parametrize("path", ["/ready", "/shared"])
async def test_a_hit_that_leaves_as_the_last_one_did_is_not_made_again(
    office: Office, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Nor is its 304; age, `Cache-Status` and what dependencies set are those of the moment."""
    first = await office.get(path)
    tag = (await office.get(path)).headers["etag"]
    monkeypatch.setattr(Leaving, "__init__", None)
    office.clock.advance(7)
    again = await office.get(path, "t2")
    unchanged = await office.get(path, "t3", if_none_match=tag)

    assert (again.status_code, again.content) == (200, first.content)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    for number, answer in ((2, again), (3, unchanged)):
        assert answer.headers["age"] == "7"
        assert answer.headers["cache-status"] == "asgi-multitier; hit; ttl=53; detail=l1"
        assert answer.headers["etag"] == tag
        if path == "/shared":  # of the other, the framework drops them
            assert answer.headers["x-limit-left"] == str(number + 1)
            assert f"last-seen=u{number}" in answer.headers["set-cookie"]
    assert "content-length" not in unchanged.headers


@pytest.mark.parametrize("name", ["Vary", "X-Accel-Expires", "Surrogate-Control", "Expires"])
async def test_what_a_dependency_says_of_the_answer_is_heeded_on_hits(name: str) -> None:
    """A hit with such a field is told as any other answer: private, and by what it was chosen."""
    app = FastAPI(title="Says")

    def says(request: Request, response: Response) -> None:
        response.headers[name] = request.headers["x-say"]

    @app.get("/x", dependencies=[Depends(says)])
    @cached(60, guarded=True, client_cache=5)
    async def x() -> str:
        return "x"

    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="says"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://office") as client:
        answers = [await client.get("/x", headers={"x-say": say}) for say in ("60", "60", "70")]

    for answer, say in zip(answers, ("60", "60", "70"), strict=True):
        if name == "Vary":
            assert answer.headers["vary"].split(", ") == [say, "Authorization", "Cookie"]
        else:
            assert answer.headers.get(name) == (say if name == "Expires" else None)
        assert answer.headers["cache-control"].startswith("private")
    assert status(answers[2]) == "hit detail=l1"


async def test_a_hit_leaves_nothing_to_collect(office: Office) -> None:
    """What it has made is freed when it ends: a collection costs more than the hit."""
    for _ in range(2):
        await office.get("/ready")
    gc.collect()
    gc.disable()
    try:
        await office.get("/ready")
        left = [one for one in gc.get_objects() if type(one) is GuardedExchange]
    finally:
        gc.enable()

    assert left == []


async def test_the_first_request_may_be_conditional(office: Office) -> None:
    """What is stored is whole."""
    part = await office.get("/prices", range="bytes=0-3")

    assert (part.status_code, part.content) == (206, b'{"pa')
    assert (await office.get("/prices")).json() == {"page": 1, "price": 1}


async def test_fifty_callers_run_the_endpoint_once_and_their_guards_each(office: Office) -> None:
    """Ten of them are refused, each with a text of its own."""
    office.gate.clear()
    asked = [
        asyncio.create_task(office.get("/prices", f"t{n % 9}" if n % 5 else f"stranger{n}"))
        for n in range(50)
    ]
    await office.arrived.acquire()
    refused = [task for n, task in enumerate(asked) if n % 5 == 0]
    answers = await asyncio.gather(*refused)
    office.gate.set()
    others = [await task for task in asked]

    assert [answer.json()["detail"] for answer in answers] == [
        f"stranger{n} is unknown" for n in range(0, 50, 5)
    ]
    assert office.runs == ["prices"]
    assert office.guards == 50
    assert sum(one.status_code == 200 for one in others) == 40
    stats = office.manager.stats().routes["/prices"]
    # Guards run in threads: one may be let in when the answer is there.
    assert (stats.misses, stats.coalesced + stats.total_hits) == (1, 39)
    assert stats.passes == {"guard": 10}


async def test_an_edit_reaches_all_copies(office: Office) -> None:
    """By a tag over the path, and by one over what a dependency gave."""
    await office.get("/orders/7")
    await office.get("/orders/7", "t2")
    await office.client.put("/orders/7")
    assert (await office.get("/orders/7")).json()["price"] == 2
    assert (await office.get("/orders/7", "t2")).json()["price"] == 2

    office.price = 9
    await office.manager.invalidate_tags("of:1")
    assert (await office.get("/orders/7")).json()["price"] == 9
    assert (await office.get("/orders/7", "t2")).json()["price"] == 2


async def test_what_a_guard_has_read_before_an_edit_is_not_kept(office: Office) -> None:
    """The answer is born when its request arrives."""
    office.gate.clear()
    asked = asyncio.create_task(office.get("/orders/7"))
    await office.arrived.acquire()
    await office.client.put("/orders/7")
    later = asyncio.create_task(office.get("/orders/7"))
    await office.arrived.acquire()
    office.gate.set()

    await asked
    assert (await later).json()["price"] == 2
    assert (await office.get("/orders/7")).json()["price"] == 2
    assert office.runs == ["order 7 of u1"] * 2


async def test_an_exception_is_its_own_and_the_next_one_asks(office: Office) -> None:
    """Waiting requests ask for themselves."""
    office.gate.clear()
    office.fails = RuntimeError("no database")
    asked = [asyncio.create_task(office.get("/orders/7")) for _ in range(3)]
    await office.arrived.acquire()
    office.gate.set()
    answers = await asyncio.gather(*asked)
    office.fails = None

    assert [answer.status_code for answer in answers] == [500] * 3
    assert len(office.runs) == 3
    assert (await office.get("/orders/7")).status_code == 200


async def test_a_stale_answer_stands_in_after_the_exception_has_passed(office: Office) -> None:
    """Its request's dependencies see the failure."""
    await office.get("/prices")
    office.clock.advance(90)
    office.fails = RuntimeError("no database")
    answer = await office.get("/prices", "t2")

    assert (answer.status_code, answer.json()) == (200, {"page": 1, "price": 1})
    assert status(answer) == "fwd=stale fwd-status=500 detail=stale-if-error"
    assert office.runs == ["prices", "prices"]
    assert office.manager.stats().routes["/prices"].stale == 1

    await office.manager.clear()
    assert (await office.get("/prices", "t2")).status_code == 500


async def test_no_field_of_the_caches_own_leaves(office: Office) -> None:
    """What marks a stored response stays here, also where a stale one stands in."""
    await office.get("/ready")
    office.clock.advance(90)
    office.fails = RuntimeError("no database")
    answer = await office.get("/ready")

    assert status(answer) == "fwd=stale fwd-status=500 detail=stale-if-error"
    assert not any(name.startswith("asgi-multitier") for name in answer.headers)


async def test_an_endpoint_that_calls_its_answer_public_is_logged_once_for_each_route(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It stands, as the application alone says it; what its guard refuses is not the endpoint's."""
    app = FastAPI(title="Public")

    def guard(request: Request) -> None:
        if "authorization" not in request.headers:
            raise HTTPException(401, headers={"Cache-Control": "public"})

    def route(path: str, control: str) -> None:
        @app.get(path, dependencies=[Depends(guard)])
        @cached(60, guarded=True)
        async def answer() -> Response:
            return Response("x", headers={"Cache-Control": control})

    controls = {"/a": "public, max-age=5", "/b/{number}": "Public", "/c": "max-age=5"}
    for path, control in controls.items():
        route(path, control)
    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="public"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://office") as client:
        for path in ("/a", "/b/1", "/c"):
            await client.get(path)
        assert caplog.messages == []
        for path in ("/a", "/a", "/b/1", "/b/2", "/c"):
            answer = await client.get(path, headers={"authorization": "one"})
            is_public = "public" in answer.headers["cache-control"].lower()
            assert is_public is (path != "/c")

    lines = [line for line in caplog.messages if "Cache-Control: public" in line]
    assert [line.partition(" is guarded")[0] for line in lines] == ["/a", "/b/{number}"]


async def test_the_query_cannot_name_what_a_dependency_gives(office: Office) -> None:
    """A client may put any name into it: the tag is of the argument."""
    for query in ("", "?name=u2"):
        await office.get(f"/named{query}")
    office.price = 5
    await office.manager.invalidate_tags("by:u1")

    for query in ("", "?name=u2"):
        assert (await office.get(f"/named{query}")).json() == {"price": 5}


async def test_one_request_renews_what_is_stale_and_the_others_do_not_wait(
    office: Office,
) -> None:
    """The endpoint needs the arguments of a request, so none runs in the background."""
    await office.get("/renewed")
    office.clock.advance(90)
    office.price = 2
    office.gate.clear()
    renewing = asyncio.create_task(office.get("/renewed"))
    await office.arrived.acquire()
    await office.arrived.acquire()
    other = await office.get("/renewed", "t2")
    office.gate.set()

    assert other.json() == {"price": 1}
    assert status(other) == "hit detail=stale-while-revalidate"
    assert (await renewing).json() == {"price": 2}
    assert status(await office.get("/renewed", "t2")) == "hit detail=l1"
    assert office.runs == ["renewed"] * 2


async def test_a_failing_commit_stores_nothing(office: Office) -> None:
    """Where the framework commits before it answers; where later, its client has the answer."""
    office.commit_fails = True
    first = await office.get("/committed")
    office.commit_fails = False
    again = await office.get("/committed")

    commits_first = first.status_code == 503  # and then answers
    assert again.status_code == 200
    assert status(again) == ("fwd=uri-miss stored" if commits_first else "hit detail=l1")
    assert office.runs.count("committed") == 1 + commits_first


@pytest.mark.parametrize(
    ("what", "is_shared"),
    [
        ("path", True),
        ("agent", True),
        ("token", False),
        ("cookie", False),
        ("state", False),
        ("all", False),
        ("copy", False),
        ("shown", False),
        ("scope", False),
    ],
)
async def test_what_reads_a_credential_is_not_shared(
    office: Office, what: str, is_shared: bool
) -> None:
    """`guarded=True` says that the endpoint takes nothing from its clients; the run shows it."""
    first = await office.get(f"/peeks?what={what}", "t1")
    again = await office.get(f"/peeks?what={what}", "t2")

    assert (status(again) == "hit detail=l1") is is_shared
    assert is_shared or first.status_code == again.status_code == 200
    if what == "token":
        assert again.json() == {"seen": "Bearer t2"}


async def test_a_client_that_leaves_lets_the_next_one_lead(office: Office) -> None:
    """The run is in its own request, so it ends with that."""
    office.gate.clear()
    first = asyncio.create_task(office.get("/orders/7"))
    await office.arrived.acquire()
    second = asyncio.create_task(office.get("/orders/7"))
    await asyncio.sleep(0)
    first.cancel()
    await office.arrived.acquire()
    office.gate.set()

    assert (await second).status_code == 200
    assert office.runs == ["order 7 of u1"] * 2
