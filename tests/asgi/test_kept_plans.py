"""What is remembered of plans: small, bounded, found for its own target alone, and collected."""

import gc
import sys
import uuid
from collections.abc import Callable
from dataclasses import fields
from typing import Any
from weakref import ref

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule
from asgi_multitier._types import Message, Scope
from asgi_multitier.asgi.hits import Hits
from asgi_multitier.asgi.kept_plan import KeptPlan, Kinds, OwnPlan
from asgi_multitier.asgi.kept_plans import KeptPlans
from asgi_multitier.asgi.plan import Plan, RuledMemory, plan_for
from asgi_multitier.asgi.replay import Prepared
from asgi_multitier.config.process import CacheConfig
from asgi_multitier.events import Tally
from asgi_multitier.policy.key import Veil
from asgi_multitier.routing import Resolved, RouteTable
from tests.support import Client, Origin, caching, scope_of

HOST = b"example.org"


async def shown(request: Request) -> Response:
    """Its path parameters."""
    return PlainTextResponse(repr(request.path_params))


ROUTES = RouteTable(
    Starlette(
        routes=[
            Route("/plain", shown),
            Route("/text/{name}", shown),
            Route("/number/{a:int}/{b:float}", shown),
            Route("/id/{one:uuid}", shown),
        ]
    ),
    rules=[Rule("/plain", 60, query=["a"]), Rule("*", 60)],
)
TALLY, CONFIG, VEIL, RULED = Tally(), CacheConfig(), Veil(b"shop"), RuledMemory()


def planned(target: str, resolved: Resolved | None = None, **changes: Any) -> tuple[Scope, Plan]:
    """A request and the plan of its target."""
    scope = scope_of(changes.pop("method", "GET"), target, **changes)
    resolved = resolved or ROUTES.resolve("GET", scope["path"])
    return scope, plan_for(scope, HOST, resolved, TALLY, CONFIG, VEIL, reason=None, ruled=RULED)


def kinds(on_forget: Callable[[], None] = lambda: None) -> Kinds:
    """A keeper of kinds."""
    return Kinds(on_forget, ROUTES)


@pytest.mark.parametrize(
    "target", ["/plain", "/plain?a=1", "/text/x", "/number/07/1.50", f"/id/{uuid.UUID(int=1)}"]
)
def test_the_whole_plan_is_the_one_that_was_made(target: str) -> None:
    """Nothing is lost, also of the first of its kind."""
    keeper = kinds()
    for _ in range(2):
        scope, plan = planned(target)
        whole = keeper.kept(plan, scope).whole()

        assert whole is not None
        for one in fields(Plan):
            assert getattr(whole, one.name) == getattr(plan, one.name), one.name


@pytest.mark.parametrize("target", ["/plain", "/text/x", "/number/7/1.5"])
def test_the_garbage_collector_does_not_look_into_a_kept_plan(target: str) -> None:
    """However many there are; what they have in common is there once."""
    keeper = kinds()
    one, two = (keeper.kept(plan, scope) for scope, plan in (planned(target),) * 2)

    assert not gc.is_tracked(one)
    assert sys.getsizeof(one) <= 96
    assert one.common is two.common


def test_it_looks_into_one_whose_parameters_may_refer_to_anything() -> None:
    """A converter of the application makes what it likes."""
    scope, plan = planned(f"/id/{uuid.UUID(int=1)}")
    kept = kinds().kept(plan, scope)

    assert type(kept) is OwnPlan
    assert gc.is_tracked(kept)


def test_the_map_of_plans_is_not_looked_into() -> None:
    """A full collection visits none of 100,000."""
    keeper, plans = kinds(), KeptPlans(1_000, 1_000_000)
    for number in range(100):
        scope, plan = planned(f"/text/{number}")
        plans.remember(scope, HOST, keeper.kept(plan, scope))

    assert len(plans) == 100
    assert not any(type(one) is KeptPlan for one in gc.get_objects())


async def test_an_application_that_is_used_no_more_is_collected() -> None:
    """With its cache and all plans, although the rule leads back to it."""

    def build() -> tuple[Starlette, CacheMiddleware]:
        app = Starlette(routes=[Route("/{name}", shown)])
        rule = Rule("/*", Policy(60, vary_by=lambda _: str(len(app.routes))))
        manager = CacheManager(redis_url=None, namespace="test")
        return app, CacheMiddleware(app, manager, rules=[rule])

    app, middleware = build()
    client = Client(middleware)
    for target in ("/a", "/a", "/b"):
        await client.request("GET", target)
    assert len(middleware._plans) == 2
    await middleware.manager.close()
    left = ref(app)
    del app, middleware, client
    gc.collect()

    assert left() is None


REQUESTS: list[tuple[bytes | None, str, dict[str, Any]]] = [
    (HOST, "/a", {}),
    (None, "/a", {}),
    (b"other.example", "/a", {}),
    (HOST, "/a", {"method": "HEAD"}),
    (HOST, "/a", {"scheme": "https"}),
    (HOST, "/a", {"http_version": "2"}),
    (HOST, "/a", {"root_path": "/r"}),
    (HOST, "/a", {"path": "/elsewhere"}),
    (HOST, "/a", {"raw_path": None}),
    (HOST, "/a?b", {}),
    (HOST, "/a", {"raw_path": b"/a?b"}),
    (HOST, "/a?b?b", {}),
    (HOST, "/a?b", {"raw_path": b"/a?b"}),
    (HOST, "/a", {"raw_path": b""}),
    (HOST, "/a?b", {"raw_path": b""}),
    (HOST, "/a", {"raw_path": b"?b"}),
]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("missing", [(), ("root_path",), ("raw_path", "query_string")])
def test_each_target_has_its_own_plan(order: int, missing: tuple[str, ...]) -> None:
    """Whatever of it differs, and whichever came first; also after a change of generations."""
    keeper = kinds()
    asked = REQUESTS[::order]
    if missing:
        asked = [one for one in asked if one[2].keys().isdisjoint(missing)][:6]
    plans = KeptPlans(2 * len(asked) + 2, 1_000_000)
    made: list[tuple[Scope, bytes | None, KeptPlan]] = []
    for host, target, changes in asked:
        scope, plan = planned(target, RESOLVED, **changes)
        for name in missing:
            scope.pop(name, None)
        found = plans.find(scope, host)
        if found is None:
            found = keeper.kept(plan, scope)
            plans.remember(scope, host, found)
        made.append((scope, host, found))
    for _ in range(3):
        assert all(plans.find(scope, host) is kept for scope, host, kept in made)
    assert len({id(kept) for _, _, kept in made}) == len({repr((h, s)) for s, h, _ in made})
    for number in range(2):
        scope, plan = planned(f"/new/{number}", RESOLVED)
        plans.remember(scope, HOST, keeper.kept(plan, scope))
    assert all(plans.find(scope, host) is kept for scope, host, kept in made)


RESOLVED = RouteTable(rules=[Rule("*", 60)]).resolve("GET", "/x")


@pytest.mark.parametrize("bound", [(40, 1_000_000), (10_000, 20_000)])
def test_it_stays_within_its_bounds(bound: tuple[int, int]) -> None:
    """In entries and bytes, one plan's more; also where old ones come back all the time."""
    keeper, plans = kinds(), KeptPlans(*bound)
    asked: list[tuple[Scope, bytes]] = []
    for number in range(300):
        scope, plan = planned(f"/x{number % 200}", RESOLVED)
        host = b"%d" % (number % 3)
        plans.remember(scope, host, keeper.kept(plan, scope))
        asked.append((scope, host))
        for old in asked[-30:]:
            plans.find(*old)
        assert len(plans) <= 42

    plans.clear()
    assert len(plans) == 0
    assert plans.find(*asked[-1]) is None


def test_ways_of_asking_stay_within_the_bytes() -> None:
    """Clients choose the Host: each has a map of its own, which takes memory as well."""
    keeper, plans = kinds(), KeptPlans(10_000, 100_000)
    for number in range(1_000):
        scope, plan = planned("/x", RESOLVED)
        plans.remember(scope, b"%d.example" % number, keeper.kept(plan, scope))

    ways = [*plans._young.values(), *plans._old[0].values()]
    assert len(ways) == len(plans)
    assert sum(map(sys.getsizeof, ways)) < 100_000 / 2
    assert len(plans) < 100_000 / 900 + 1


def test_what_is_at_hand_is_forgotten_with_all_else() -> None:
    """Also by a thread that has it at hand already."""
    keeper, plans = kinds(), KeptPlans(100, 1_000_000)
    scope, plan = planned("/x", RESOLVED)
    plans.remember(scope, HOST, keeper.kept(plan, scope))
    assert plans.find(scope, HOST) is not None
    _, places = plans.at_hand
    assert len(places) == 1

    plans.clear()

    assert plans.at_hand == (None, {})
    assert places == {}


@pytest.mark.parametrize("changed", [{"method": "HEAD"}, {"host": b"other.example"}])
async def test_a_head_and_other_hosts_find_their_plans_at_once(
    changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they are asked for in turns: nothing but the map is asked."""
    finds: list[Scope] = []
    find = KeptPlans.find

    def noting(self: KeptPlans, scope: Scope, host: bytes | None) -> KeptPlan | None:
        finds.append(scope)
        return find(self, scope, host)

    monkeypatch.setattr(KeptPlans, "find", noting)
    async with caching(Origin()) as cache:
        for number in range(6):
            method, host = changed.get("method", "GET"), changed.get("host", HOST)
            method, host = (method, host) if number % 2 else ("GET", HOST)
            await cache.middleware(scope_of(method, "/a", [("host", host)]), _empty, _dropped)
            assert len(finds) == min(number + 1, 2)
        assert cache.manager.stats().l1_hits == (5 if "method" in changed else 4)


def test_a_sample_finds_nothing_so_many_times() -> None:
    """And is replaced by the next, or ends with the half."""
    keeper, plans = kinds(), KeptPlans(4, 1_000_000)

    def remember(target: str) -> Scope:
        scope, plan = planned(target, RESOLVED)
        plans.remember(scope, HOST, keeper.kept(plan, scope))
        return scope

    def found(times: int) -> list[bool]:
        return [plans.find(scope, HOST) is not None for _ in range(times)]

    scope = remember("/a")
    plans.overlook(2)
    assert plans.at_hand == (None, {})
    assert found(3) == [False, False, True]
    plans.overlook(2)
    plans.overlook(1)
    assert found(2) == [False, True]
    plans.overlook(9)
    plans.overlook(0)
    assert found(1) == [True]
    plans.overlook(9)
    remember("/b")
    remember("/c")
    assert not plans.overlooks
    assert found(1) == [True]


def test_what_a_response_varies_by_is_its_targets_alone() -> None:
    """Other targets of the rule stay as they are; equal ones share what they have in common."""
    keeper = kinds()
    one, two, three = (keeper.kept(*planned(f"/text/{n}")[::-1]) for n in "abc")
    one.chosen_by((b"accept",))
    two.chosen_by((b"accept",))
    two.chosen_by((b"accept",))

    assert one.common is two.common
    assert not one.common.alone
    assert three.common.alone
    assert three.common.fields == frozenset()
    whole = one.whole()
    assert whole is not None
    assert (whole.alone, whole.fields) == (False, {b"accept"})


def test_fields_without_end_are_not_remembered() -> None:
    """Each target has its own then."""
    keeper = kinds()
    kept = [keeper.kept(*planned(f"/text/{n}")[::-1]) for n in range(100)]
    for number, one in enumerate(kept):
        one.chosen_by((b"x-%d" % number,))

    assert all(one.common.fields == {b"x-%d" % n} for n, one in enumerate(kept))
    (common,) = {two.common for two in (keeper.kept(*planned("/text/x")[::-1]),)}
    assert len(common.chosen) == 64


def test_kinds_are_forgotten_with_their_plans() -> None:
    """Rules that are made all the time; what a request under way has is whole for long."""
    forgotten: list[None] = []
    keeper = kinds(lambda: forgotten.append(None))

    def kept() -> KeptPlan:
        resolved = RouteTable(rules=[Rule("*", 60)]).resolve("GET", "/x")
        return keeper.kept(*planned("/x", resolved)[::-1])

    first = kept()
    for _ in range(1_000):
        kept()
    assert len(forgotten) == 1
    assert first.whole() is not None
    for _ in range(1_000):
        kept()
    assert len(forgotten) == 2
    assert first.whole() is None


async def test_a_plan_whose_kind_is_forgotten_is_made_once_more() -> None:
    """The request is answered as any other."""
    async with caching(Origin()) as cache:
        first = await cache.get("/a")
        planning = cache.middleware._planning
        planning._kinds = Kinds(planning.forget, planning.table)
        gc.collect()
        kept = planning.remembered.find(scope_of("GET", "/a", [("host", HOST)]), HOST)
        assert kept is not None
        assert kept.whole() is None
        second = await cache.get("/a")

    assert second.hit
    assert second.body == first.body


@pytest.mark.parametrize("order", [1, -1])
async def test_the_middleware_finds_the_plan_of_each_target(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for itself first: whatever of a target differs, it takes no other one's plan."""
    taken: list[KeptPlan] = []
    ready = Hits.ready

    def noting(self: Hits, plan: KeptPlan, *rest: Any) -> Prepared | None:
        taken.append(plan)
        return ready(self, plan, *rest)

    seen = 0
    monkeypatch.setattr(Hits, "ready", noting)
    async with caching(Origin()) as cache:
        for host, target, changes in REQUESTS[::order] * 2:
            if host is None:
                continue
            changes = dict(changes)
            scope = scope_of(changes.pop("method", "GET"), target, [("host", host)], **changes)
            taken.clear()
            await cache.middleware(scope, _empty, _dropped)

            seen += len(taken)
            for plan in taken:
                assert cache.middleware._plans.find(scope, host) is plan
                assert plan.path == scope["path"]
                assert plan.cut == (
                    len(scope["raw_path"] or b"") + 1 if scope["query_string"] else 0
                )
        assert seen == 24


async def _empty() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _dropped(_message: Message) -> None:
    pass
