"""What is told of a request that is not sent: verdict, rule, key, entries, and who drops it."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2 as httpx
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount

from asgi_multitier import (
    CacheManager,
    CacheMiddleware,
    ConfigError,
    Policy,
    Rule,
    cached,
    invalidates,
    no_cache,
)
from asgi_multitier.explain import Explanation, Verdict
from asgi_multitier.testing import FakeClock

BASE = "http://shop.example"

called: list[str] = []
"""What user code was called."""


def tenant(request: Request) -> str | None:
    """Whose copy."""
    called.append("vary_by")
    return request.headers.get("x-tenant")


def wanted(request: Request) -> bool:
    """Whether the request meets the cache."""
    called.append("when")
    return "skip" not in request.query_params


def switched() -> bool:
    """Whether the route is on."""
    called.append("enabled")
    return True


def own_tags(request: Request) -> list[str]:
    """Tags by code."""
    called.append("tags")
    return [f"own:{request.path_params['number']}"]


def raising(_: Request) -> Any:
    """Fail."""
    raise LookupError("of user 7")


async def user() -> str:
    """Who asks."""
    called.append("user")
    return "7"


def shop() -> FastAPI:
    """An application with a route of each kind."""
    app = FastAPI()

    @app.get("/products/{number}")
    @cached(300, tags=["product:{number}", "products"], stale_while_revalidate=60)
    async def product(number: int) -> int:
        called.append("endpoint")
        return number

    @app.put("/products/{number}")
    @invalidates(
        tags=["product:{number}"], paths=["/lists/{number}"], routes=["report"], patterns=["/r*"]
    )
    async def restock(number: int) -> str:
        return "ok"

    @app.delete("/products/{number}")
    @invalidates(tags=[own_tags])
    async def remove(number: int) -> str:
        return "ok"

    @app.get("/reports/{year}", name="report")
    @cached(300, vary=["accept-language"], cookies=["theme"], query=["page"])
    async def report(year: int) -> int:
        return year

    @app.get("/tenants/{number}")
    @cached(300, vary_by=tenant, when=wanted, enabled=switched, tags=[own_tags])
    async def of_tenant(number: int) -> int:
        return number

    @app.get("/raising/{number}")
    @cached(300, tags=[raising])
    async def raises(number: int) -> int:
        return number

    @app.get("/refusing")
    @cached(300, vary_by=raising)
    async def refuses() -> int:
        return 1

    @app.get("/guarded/{number}", dependencies=[Depends(user)])
    @cached(300, guarded="shared", tags=["guarded:{number}"])
    async def guarded(number: int) -> int:
        return number

    @app.get("/mine")
    @cached(300, guarded=True, vary_by="{who}")
    async def mine(who: Annotated[str, Depends(user)]) -> str:
        return who

    @app.post("/search")
    @cached(300, methods=["POST"], body="json", when=wanted)
    async def search(request: Request) -> int:
        return len(await request.body())

    @app.get("/validated")
    @cached(10, validator=lambda _: 1)
    async def validated() -> int:
        return 1

    @app.get("/private")
    @no_cache
    async def private() -> int:
        return 1

    @app.get("/refused")
    @cached(300)
    async def refused() -> JSONResponse:
        return JSONResponse(1, headers={"cache-control": "no-store"})

    @app.get("/unruled")
    async def unruled() -> int:
        return 1

    return app


class Asked:
    """The application, its cache and a client."""

    def __init__(self, app: Any, **options: Any) -> None:
        called.clear()
        self.clock = FakeClock()
        settings = {"redis_url": None, "namespace": "shop", **options}
        self.cache = CacheManager(clock=self.clock, **settings)
        self.app = CacheMiddleware(app, self.cache)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE)

    async def get(self, url: str, **headers: str) -> httpx.Response:
        """Ask."""
        return await self.client.get(
            url, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    async def explain(self, method: str, url: str, *args: Any, **options: Any) -> Explanation:
        """What would become of it; user code that is called counts from here."""
        called.clear()
        found = await self.cache.explain(method, url, *args, **options)
        assert json.loads(json.dumps(found.as_json())) == found.as_json()
        assert "endpoint" not in called
        if not options.get("run_callables"):
            assert called == []
        return found


@asynccontextmanager
async def asked(app: Any = None, **options: Any) -> AsyncIterator[Asked]:
    """An application that has begun."""
    shown = Asked(shop() if app is None else app, **options)
    async with shown.client, shown.cache:
        await shown.get("/unruled")
        yield shown


CASES: Mapping[str, tuple[str, Mapping[str, str], Verdict, str | None]] = {
    "nothing stored": ("GET /products/9", {}, Verdict.MISS, None),
    "stored": ("GET /products/1", {}, Verdict.HIT, None),
    "head of what is stored": ("HEAD /products/1", {}, Verdict.HIT, None),
    "credentials": ("GET /products/1", {"authorization": "x"}, Verdict.BYPASS, "authorization"),
    "a cookie": ("GET /products/1", {"cookie": "a=b"}, Verdict.BYPASS, "cookie"),
    "a body": ("GET /products/1", {"content-length": "3"}, Verdict.BYPASS, "request-body"),
    "another method": (
        "GET /products/1",
        {"x-http-method": "PUT"},
        Verdict.BYPASS,
        "method-override",
    ),
    "a condition": ("GET /products/1", {"if-match": '"x"'}, Verdict.BYPASS, "precondition"),
    "a name": ("GET /products/1", {"x_lang": "de"}, Verdict.BYPASS, "field-name"),
    "no rule": ("GET /unruled", {}, Verdict.BYPASS, "no-rule"),
    "no route": ("GET /nowhere", {}, Verdict.BYPASS, "no-rule"),
    "never": ("GET /private", {}, Verdict.BYPASS, "no-cache-annotation"),
    "safe": ("OPTIONS /products/1", {}, Verdict.BYPASS, "method"),
    "a change": ("PUT /products/1", {}, Verdict.CHANGE, None),
    "callables": ("GET /tenants/1", {"x-tenant": "a"}, Verdict.UNKNOWN, None),
    "a question": ("POST /search", {}, Verdict.UNKNOWN, None),
    "a guard": ("GET /guarded/1", {}, Verdict.HIT, None),
    "a guard's value": ("GET /mine", {}, Verdict.UNKNOWN, None),
    "not stored": ("GET /refused", {}, Verdict.REFUSED, None),
}


@pytest.mark.parametrize("case", CASES)
async def test_verdicts(case: str) -> None:
    """Of requests of each kind, without a call of any user code."""
    line, headers, verdict, reason = CASES[case]
    method, _, url = line.partition(" ")
    async with asked() as shown:
        for one in ("/products/1", "/guarded/1", "/mine", "/refused"):
            await shown.get(one)
        found = await shown.explain(method, url, headers)

    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.method == method
    assert found.sentence
    assert not found.sentence.endswith(".")
    assert (found.key is not None) == (
        verdict not in (Verdict.BYPASS, Verdict.CHANGE)
        and "vary_by" not in found.unknown
        and found.rule is not None
    )


async def test_a_hit_is_told_with_all_that_decides() -> None:
    """The rule, the key, what is stored, and which routes drop it."""
    async with asked() as shown:
        await shown.get("/products/1")
        shown.clock.advance(20)
        found = await shown.explain("GET", "http://shop.example/products/1?a=secret")
        stored = await shown.explain("GET", "/products/1")

    assert found.key is not None
    assert found.key.parts == ("scheme", "host", "path", "query")
    assert "secret" not in json.dumps(found.as_json())
    assert stored.rule is not None
    assert (stored.rule.route, stored.rule.chosen_by, stored.rule.lifetime) == (
        "/products/{number}",
        "annotation",
        300,
    )
    assert stored.key is not None
    (entry,) = stored.entries
    assert (entry.tier, entry.kind, entry.state, entry.status) == (1, "response", "fresh", 200)
    assert (entry.age, entry.ttl, entry.keep, entry.uses) == (20, 280, 340, 0)
    assert entry.key == stored.key.digest
    assert entry.tags == stored.tags == ("product:{number}", "products")
    assert stored.sentence == "A fresh response in tier 1 answers it, for 280 s more"
    dropped_by = {
        (one.by.split(" (")[1], one.kind, one.text, one.certain) for one in stored.dropped_by
    }
    assert {(name.rpartition(".")[2], *rest) for name, *rest in dropped_by} == {
        ("restock)", "url", "/products/{number}", True),
        ("restock)", "tag", "product:{number}", True),
        ("remove)", "url", "/products/{number}", True),
        ("remove)", "tag", "own_tags()", False),
    }


async def test_it_is_told_what_has_dropped_an_entry() -> None:
    """The selectors and the record; a request that finds it removes it, an explanation does not."""
    async with asked() as shown:
        await shown.get("/products/1")
        await shown.client.put("/products/1")
        found = await shown.explain("GET", "/products/1")
        again = await shown.explain("GET", "/products/1", reveal=True)
        await shown.get("/products/1")
        after = await shown.explain("GET", "/products/1")

    assert (found.verdict, found.reason, found.forward) == ("dropped", "invalidated", "uri-miss")
    (entry,) = found.entries
    record = found.log.position.seq if found.log is not None else 0
    assert record > entry.born.seq
    causes = {(one.cause, one.kind, one.text, one.record) for one in entry.dropped_because}
    assert causes == {
        ("selector", "path", "/products/{number}", record),
        ("selector", "tag", "product:{number}", record),
    }
    assert f"record {record} of the log" in found.sentence
    assert {one.text for one in again.entries[0].dropped_because} == {"/products/1", "product:1"}
    assert after.verdict is Verdict.HIT


STALE: Mapping[str, tuple[str, float, Verdict, str | None, tuple[str, ...]]] = {
    "may be served": ("/products/1", 310, Verdict.STALE, "stale", ()),
    "is over": ("/products/1", 400, Verdict.EXPIRED, "stale", ()),
    "may live on": ("/validated", 20, Verdict.EXPIRED, "stale", ("validator",)),
}


@pytest.mark.parametrize("case", STALE)
async def test_what_is_past_its_lifetime(case: str) -> None:
    """It may be served, or the application is asked."""
    url, passing, verdict, reason, unknown = STALE[case]
    async with asked() as shown:
        await shown.get(url)
        shown.clock.advance(passing)
        found = await shown.explain("GET", url)

    assert (found.verdict, found.reason, found.unknown) == (verdict, reason, unknown)
    assert [entry.state for entry in found.entries] == [
        "expired" if passing == 400 or (url == "/validated" and passing > 3_600) else "stale"
    ]


async def test_a_change_tells_what_it_drops() -> None:
    """As its route states it; revealed, the texts; what callables name only if they may run."""
    async with asked() as shown:
        stated = await shown.explain("PUT", "/products/7")
        revealed = await shown.explain("PUT", "/products/7", reveal=True)
        by_code = await shown.explain("DELETE", "/products/7", reveal=True)
        called_too = await shown.explain("DELETE", "/products/7", reveal=True, run_callables=True)

    assert [(one.kind, one.text) for one in stated.drops] == [
        ("url", "/products/{number}"),
        ("tag", "product:{number}"),
        ("path", "/lists/{number}"),
        ("pattern", "/r*"),
        ("route", "report"),
    ]
    assert [(one.kind, one.text) for one in revealed.drops] == [
        ("url", "/products/7"),
        ("tag", "product:7"),
        ("path", "/lists/7"),
        ("route", "/reports/{year}"),
        ("pattern", "/r*"),
    ]
    assert [(one.kind, one.text, one.certain) for one in by_code.drops] == [
        ("url", "/products/7", True),
        ("tag", "own_tags()", False),
    ]
    assert [(one.kind, one.text) for one in called_too.drops] == [
        ("url", "/products/7"),
        ("tag", "own:7"),
    ]


async def test_callables_are_called_only_if_asked_for() -> None:
    """Without them the explanation says what they decide; with them it is whole."""
    headers = {"x-tenant": "a"}
    async with asked() as shown:
        unknown = await shown.explain("GET", "/tenants/1", headers)
        miss = await shown.explain("GET", "/tenants/1", headers, run_callables=True, reveal=True)
        assert sorted(called) == ["enabled", "tags", "vary_by", "when"]
        none = await shown.explain("GET", "/tenants/1", run_callables=True)
        skipped = await shown.explain("GET", "/tenants/1?skip", headers, run_callables=True)
        await shown.get("/tenants/1", x_tenant="a")
        hit = await shown.explain("GET", "/tenants/1", headers, run_callables=True)

    assert unknown.unknown == ("enabled", "tags", "when", "vary_by")
    assert unknown.remedy == "Pass run_callables=True to explain"
    assert (miss.verdict, miss.tags, miss.unknown) == ("miss", ("own:1",), ())
    assert (none.verdict, none.reason) == ("bypass", "partition")
    assert (skipped.verdict, skipped.reason) == ("bypass", "when")
    assert hit.verdict is Verdict.HIT
    assert hit.key is not None
    assert hit.key.parts == ("scheme", "host", "path", "partition")


async def test_a_callable_that_raises_is_told_by_its_kind() -> None:
    """Neither counted nor logged, and without its text."""
    async with asked() as shown:
        tags = await shown.explain("GET", "/raising/1", run_callables=True)
        vary_by = await shown.explain("GET", "/refusing", run_callables=True)
        failures = shown.cache.stats().failures

    assert (tags.verdict, tags.reason) == ("refused", "broken")
    assert (vary_by.verdict, vary_by.reason) == ("bypass", "partition")
    for found in (tags, vary_by):
        assert "LookupError" in found.sentence
        assert "user 7" not in str(found.as_json())
    assert failures == {}


async def test_names_of_what_the_key_has_and_no_values() -> None:
    """Also revealed: fields, cookies and parameters belong to one user."""
    headers = {"accept-language": "secret-de", "cookie": "theme=secret-dark; other=secret-x"}
    async with asked() as shown:
        url = f"{BASE}/reports/1?page=secret-2&q=secret-3"
        hidden = await shown.explain("GET", url, headers)
        revealed = await shown.explain("GET", url, headers, reveal=True)

    assert hidden.key is not None
    assert hidden.key.parts == (
        "scheme",
        "host",
        "path",
        "query:page",
        "field:accept-language",
        "cookie:theme",
    )
    assert hidden.key.values is None
    assert revealed.key is not None
    assert revealed.key.values == {
        "scheme": "http",
        "host": "shop.example",
        "path": "/reports/1",
        "query": "page",
    }
    assert "secret" not in json.dumps([hidden.as_json(), revealed.as_json()])


async def test_questions_with_content() -> None:
    """A POST whose rule says `body=` asks; `when=` may say that it changes something."""
    async with asked() as shown:
        url, body = "/search", b'{"a": 1}'
        unknown = await shown.explain("POST", url, body=body)
        miss = await shown.explain("POST", url, body=body, run_callables=True)
        await shown.client.post(url, content=body)
        hit = await shown.explain("POST", url, body=body, run_callables=True)
        other = await shown.explain("POST", url, body=b"{}", run_callables=True)
        change = await shown.explain("POST", f"{url}?skip", body=body, run_callables=True)
        large = await shown.explain("POST", url, body=b"x" * 2_000_000, run_callables=True)

    assert (unknown.verdict, unknown.unknown) == ("unknown", ("when",))
    assert (miss.verdict, hit.verdict, other.verdict) == ("miss", "hit", "miss")
    assert hit.key is not None
    assert "content" in hit.key.parts
    assert (change.verdict, change.reason) == ("change", "when")
    assert (large.verdict, large.reason) == ("change", "request-body-oversized")


async def test_a_route_that_was_never_asked_is_not_counted() -> None:
    """Neither with its request nor without: its statistics do not begin."""
    async with asked() as shown:
        before = shown.cache.stats()
        for method in ("GET", "HEAD", "PUT", "POST", "OPTIONS"):
            for url in ("/products/1", "/search", "/guarded/1", "/tenants/1", "/nowhere"):
                await shown.explain(method, url, {"x-tenant": "a"}, run_callables=True)
        assert shown.cache.stats() == before
        assert len(shown.app._plans) == 1  # that of the request by which it began


async def test_the_cache_may_be_off() -> None:
    """Then all pass by."""
    async with asked() as shown:
        await shown.get("/products/1")
        shown.cache.mode = "off"
        found = await shown.explain("GET", "/products/1")

    assert (found.verdict, found.reason, found.remedy) == ("bypass", "off", 'Write mode="on"')


async def test_a_cache_without_an_application_says_so() -> None:
    """A manager of its own, or an application that has not begun."""
    async with CacheManager(redis_url=None, namespace="alone") as cache:
        found = await cache.explain("GET", "/products/1")

    assert (found.verdict, found.rule, found.log) == ("unknown", None, None)
    assert "CacheMiddleware" in found.sentence
    assert found.remedy


async def test_applications_in_a_mount() -> None:
    """Of one cache around all, and of one cache that each of two mounted applications has."""

    def inner(name: str) -> FastAPI:
        app = FastAPI()

        @app.get("/items/{number}")
        @cached(60, tags=[f"{name}:{{number}}"])
        async def item(number: int) -> int:
            return number

        return app

    outer = Starlette(routes=[Mount("/a", inner("a")), Mount("/b", inner("b"))])
    async with asked(outer) as shown:
        await shown.get("/b/items/1")
        found = await shown.explain("GET", "/b/items/1")
        assert (found.verdict, found.tags) == ("hit", ("b:{number}",))
        assert found.rule is not None
        assert found.rule.route == "/b/items/{number}"

    cache = CacheManager(redis_url=None, namespace="two")
    mounts = [Mount(f"/{n}", CacheMiddleware(inner(n), cache)) for n in "ab"]
    transport = httpx.ASGITransport(Starlette(routes=mounts))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client,
        cache,
    ):
        for name in "ab":
            await client.get(f"/{name}/items/1")
            found = await cache.explain("GET", f"http://shop.example/{name}/items/1")
            assert (found.verdict, found.tags) == ("hit", (f"{name}:{{number}}",))
        assert (await cache.explain("GET", "/c/items/1")).verdict is Verdict.UNKNOWN


async def test_one_application_after_the_other() -> None:
    """As tests make them with one manager: the latest is explained."""
    cache = CacheManager(redis_url=None, namespace="shop")
    told = []
    for name in ("one", "two", "three"):
        app = FastAPI()
        app.add_api_route("/items/{number}", cached(60, tags=[name])(tagged()))
        transport = httpx.ASGITransport(CacheMiddleware(app, cache))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            await client.get("/items/1")
        told.append((await cache.explain("GET", "/items/1")).tags)
    await cache.close()

    assert told == [("one",), ("two",), ("three",)]


def tagged() -> Any:
    """An endpoint of its own."""

    async def endpoint(number: int) -> int:
        return number

    return endpoint


async def test_clients_behind_a_proxy() -> None:
    """What the proxy adds to each request is in each key, so it is in the question as well."""
    async with asked() as shown:
        await shown.get("/products/1", x_forwarded_proto="https")
        for url in ("/products/1", "https://shop.example/products/1"):
            found = await shown.explain("GET", url)
            assert found.verdict is Verdict.HIT, url
            assert found.key is not None
            assert "field:x-forwarded-proto" in found.key.parts
        other = await shown.explain("GET", "https://other.example/products/1")
        assert other.verdict is Verdict.MISS


async def test_a_cache_without_a_lifetime_of_its_own() -> None:
    """Rules, the default and what a request wants."""
    app = shop()
    cache = CacheManager(redis_url=None, namespace="shop")
    rules = [Rule("/unruled", 60, honor_request_directives=False), Rule("/nowhere", None)]
    middleware = CacheMiddleware(app, cache, rules=rules, default=Policy.from_origin())
    transport = httpx.ASGITransport(middleware)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client,
        cache,
    ):
        await client.get("/unruled")
        ruled = await cache.explain("GET", "/unruled")
        never = await cache.explain("GET", "/nowhere")
        default = await cache.explain("HEAD", "/other")

    assert (ruled.verdict, ruled.rule and ruled.rule.chosen_by) == ("hit", "rule")
    assert (never.verdict, never.reason) == ("bypass", "no-cache-annotation")
    assert (default.rule and default.rule.chosen_by, default.reason) == ("default", "method")


BAD: Mapping[str, Callable[[CacheManager], Any]] = {
    "method": lambda cache: cache.explain("GE T", "/"),
    "url": lambda cache: cache.explain("GET", "products"),
    "url of another kind": lambda cache: cache.explain("GET", "ftp://shop/products"),
    "url with a password": lambda cache: cache.explain("GET", "ftp://user:secret@shop/products"),
    "url with a broken host": lambda cache: cache.explain("GET", "http://user:secret@[::1/"),
    "url without a scheme": lambda cache: cache.explain("GET", "//user:secret@shop/products"),
    "url without a host": lambda cache: cache.explain("GET", "http:///products"),
    "headers": lambda cache: cache.explain("GET", "/", {"a b": "secret"}),
    "headers with a line": lambda cache: cache.explain("GET", "/", {"a": "secret\r\nb: c"}),
    "headers of another kind": lambda cache: cache.explain("GET", "/", 7),  # type: ignore[arg-type]
    "headers in part": lambda cache: cache.explain("GET", "/", [("a", 7)]),  # type: ignore[list-item]
    "body": lambda cache: cache.explain("GET", "/", body="text"),  # type: ignore[arg-type]
    "reveal": lambda cache: cache.explain("GET", "/", reveal=1),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", BAD)
async def test_what_is_no_request_is_refused(case: str) -> None:
    """By the name of what is wrong, and without a value that belongs to a user."""
    cache = CacheManager(redis_url=None, namespace="shop")
    with pytest.raises(ConfigError, match=rf"CacheManager.explain: {case.split()[0]}=") as error:
        await BAD[case](cache)

    assert "secret" not in str(error.value)
