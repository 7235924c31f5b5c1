"""What a fill asks the application, and where what comes is kept."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from asgi_multitier import CacheManager
from asgi_multitier._types import Headers, Receive, Scope, Send
from asgi_multitier.asgi.fill import Fill, Stored
from asgi_multitier.asgi.fill.keeping import as_variant
from asgi_multitier.asgi.fill.question import (
    WHOLE,
    Asks,
    Question,
    StoredCandidates,
    question_of,
    scope_for_app,
)
from asgi_multitier.asgi.plan import plan_for
from asgi_multitier.asgi.replies import Replies
from asgi_multitier.asgi.request import Request
from asgi_multitier.asgi.request_key import visible
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.config.policy import Policy
from asgi_multitier.config.process import CacheConfig
from asgi_multitier.config.rules import Rule
from asgi_multitier.entry import Entry, Reuse, Slot, StoredResponse, Variants
from asgi_multitier.events import Tally
from asgi_multitier.policy.credentials import Credentials
from asgi_multitier.policy.key import Veil
from asgi_multitier.policy.request import Watch, scan
from asgi_multitier.policy.storing import etag_of
from asgi_multitier.routing import RouteTable
from asgi_multitier.selectors import Selector
from asgi_multitier.tiers.memory import MemoryTier
from tests.support import Origin, answering, caching, scope_of

TAG = (b"etag", b'"1"')
SINCE = (b"last-modified", b"Tue, 01 Dec 2026 12:00:00 GMT")
PART = (b"content-range", b"bytes 0-4/10")


def request(policy: Policy | None = None, method: str = "GET", *lines: tuple[str, str]) -> Request:
    """A request for `/x` that a rule lets meet the cache."""
    policy = policy or Policy.from_origin()
    table = RouteTable()
    scope = scope_of(method, "/x?b=2&a=1", lines)
    host, found = scan(scope["headers"], Watch(Credentials()))
    resolved = replace(table.resolve("GET", "/x"), policy=policy)
    config = CacheConfig(redis_url=None, max_url=100)
    plan = plan_for(scope, host, resolved, Tally(), config, Veil(b"shop"), reason=None)
    made = Request(scope, visible(policy, found or {}), plan, table, Origin(), lambda scope: True)
    made.primary = plan.key
    return made


def entry(log: LocalLog, key: str, response: StoredResponse) -> Entry:
    """What is stored of a response, half a minute of it fresh."""
    return Entry(
        key=key,
        payload=response,
        born=log.index.born(),
        created=0.0,
        fresh_until=30.0,
        keep_until=60.0,
        filled_at=0.0,
        path="/x",
        tags=("t",),
    )


def slot(status: int = 200, *lines: tuple[bytes, bytes], body: bytes = b"hello") -> Slot:
    """A stored response in its place."""
    named = dict(lines)
    response = StoredResponse(status, lines, body, named.get(TAG[0]), named.get(SINCE[0]))
    return Slot(entry(LocalLog(), "k", response), 0)


@pytest.mark.parametrize(
    ("stored", "asks", "fields"),
    [
        pytest.param(StoredCandidates(), Asks.NOTHING, (), id="nothing here"),
        pytest.param(StoredCandidates(slot()), Asks.NOTHING, (), id="stale without validators"),
        pytest.param(
            StoredCandidates(slot(200, TAG)),
            Asks.VALIDATION,
            ((b"if-none-match", b'"1"'),),
            id="its tag",
        ),
        pytest.param(
            StoredCandidates(slot(200, SINCE)),
            Asks.VALIDATION,
            ((b"if-modified-since", SINCE[1]),),
            id="its date",
        ),
        pytest.param(
            StoredCandidates(None, slot(206, PART, TAG)),
            Asks.REST,
            ((b"range", b"bytes=5-"), (b"if-range", b'"1"')),
            id="the rest of a part",
        ),
        pytest.param(
            StoredCandidates(None, slot(206, (PART[0], b"bytes 2-4/10"), TAG)),
            Asks.NOTHING,
            (),
            id="a part from the middle",
        ),
    ],
)
def test_no_more_is_asked_for_than_is_needed(
    stored: StoredCandidates, asks: Asks, fields: Headers
) -> None:
    """A validation, or the rest of a part; the whole where neither can be had."""
    assert Question(asks, fields) == question_of(request(), stored, own=False)


def test_a_range_of_the_clients_own_is_asked_for_as_it_is() -> None:
    """The rest of a stored part is not what it wants."""
    ranged = request(None, "GET", ("range", "bytes=2-3"))

    part = StoredCandidates(None, slot(206, PART, TAG))
    assert question_of(ranged, part, own=True) == Question(Asks.OWN)


def test_a_tag_of_our_own_making_is_no_condition() -> None:
    """The application of an annotated route does not know it."""
    stored = StoredCandidates(slot(200, (TAG[0], etag_of(b"hello")), body=b"hello"))

    assert question_of(request(Policy(60)), stored, own=False) == WHOLE
    assert question_of(request(), stored, own=False).asks is Asks.VALIDATION


def test_what_was_invalidated_is_no_candidate() -> None:
    """Since it was found: neither of it is asked about, nor does it stand in."""
    log = LocalLog()
    response = StoredResponse(200, (), b"hello")
    kept, gone = (Slot(entry(log, key, response), 0) for key in ("kept", "gone"))
    log.begin([Selector("key", "gone")])

    assert StoredCandidates(None, kept) == StoredCandidates(gone, kept).permitted(log.index)
    assert StoredCandidates(kept, None) == StoredCandidates(kept, gone).permitted(log.index)


async def test_what_was_invalidated_since_it_was_found_is_not_validated() -> None:
    """An origin that says "as before" means what it sent then, not what was dropped here."""
    origin = Origin(answering(b"hello", TAG))
    drops = False

    def tags(request: Any) -> list[str]:
        if drops:
            cache.manager.engine.log.begin([Selector("path", "/x")])
        return ["t"]

    async with caching(origin, [Rule("*", 2, tags=tags)]) as cache:
        await cache.get("/x")
        cache.clock.advance(3)
        drops = True
        await cache.get("/x")

        asked = dict(origin.scopes[1]["headers"])
        assert b"if-none-match" not in asked


@pytest.mark.parametrize(
    ("policy", "lines", "expected"),
    [
        pytest.param(Policy(60), (("if-none-match", '"1"'),), [], id="no condition"),
        pytest.param(
            Policy(60, cookies=["a"]),
            (("cookie", "a=1; b=2"),),
            [(b"cookie", b"a=1")],
            id="only the cookies that the key covers",
        ),
        pytest.param(
            Policy(60, cookies=["a"]), (("cookie", "b=2"),), [], id="none of them, no line"
        ),
        pytest.param(
            Policy(60, cookies=["a"], vary_by=lambda request: "u"),
            (("cookie", "a=1; b=2"),),
            [(b"cookie", b"a=1; b=2")],
            id="all where the rule separates users by itself",
        ),
        pytest.param(
            Policy(60, ignore_cookies=True),
            (("cookie", "a=1"), ("cookie", "b")),
            [],
            id="none where all are ignored",
        ),
        pytest.param(
            Policy(60, ignore_cookies=["_ga*", "b"], public=True),
            (("cookie", "_ga=1; a=2; _ga_X=3; bb=4; b=5; _g=6; _ga"),),
            [(b"cookie", b"a=2; bb=4; _g=6; _ga")],
            id="all but those that are ignored",
        ),
    ],
)
def test_the_application_sees_what_the_key_covers(
    policy: Policy, lines: Any, expected: list[tuple[bytes, bytes]]
) -> None:
    """No condition of one client, no cookie that the key does not tell apart; always as a GET."""
    asked = request(policy, "HEAD", *lines)
    scope = scope_for_app(asked, WHOLE, background=False)

    assert scope["method"] == "GET"
    assert expected == [line for line in scope["headers"] if line[0] != b"host"]
    assert asked.scope["method"] == "HEAD"


def test_the_application_sees_the_querys_allowed_names_only() -> None:
    """What the key leaves out cannot change the answer; other targets are as they were sent."""
    narrowed = scope_for_app(request(Policy(60, query=["a"])), WHOLE, background=False)

    assert narrowed["query_string"] == b"a=1"
    assert scope_for_app(request(), WHOLE, background=False)["query_string"] == b"b=2&a=1"


def test_conditions_of_the_client_go_to_the_origin_only_where_the_answer_is_its_own() -> None:
    """What everybody gets is asked for whole, with our own conditions if any."""
    own = (b"if-none-match", b'"2"')
    asked = request(None, "GET", ("if-none-match", '"2"'), ("range", "bytes=0-1"))
    ours = Question(Asks.VALIDATION, ((b"if-none-match", b'"1"'),))

    assert own in scope_for_app(asked, Question(Asks.OWN), background=False)["headers"]
    whole = {name for name, _ in scope_for_app(asked, WHOLE, background=False)["headers"]}
    assert whole.isdisjoint({b"if-none-match", b"range"})
    conditional = scope_for_app(asked, ours, background=False)["headers"]
    assert [line for line in conditional if line[0] == own[0]] == list(ours.fields)


@pytest.mark.parametrize(
    ("vary", "known", "fields"),
    [
        pytest.param((), None, None, id="one representation"),
        pytest.param((b"accept",), None, (b"accept",), id="named by the response"),
        pytest.param((), Variants((b"accept",)), (b"accept",), id="known before"),
        pytest.param(
            (b"origin",), Variants((b"accept",)), (b"accept", b"origin"), id="both, in order"
        ),
        pytest.param((b"x-keyed",), None, None, id="the primary key covers it"),
    ],
)
def test_entries_lie_under_the_key_of_their_variant(
    vary: tuple[bytes, ...], known: Variants | None, fields: tuple[bytes, ...] | None
) -> None:
    """A marker under the primary key leads there, and lasts as long as the entry."""
    asked = request(Policy(60, vary=["x-keyed"]))
    made, marker = as_variant(slot().entry, asked, vary, known)

    if fields is None:
        assert (made.key, marker) == (asked.primary, None)
        return
    assert made.key == asked.variant_key(fields) != asked.primary
    assert marker is not None
    assert (marker.key, marker.payload) == (asked.primary, Variants(fields))
    assert marker.fresh_until == marker.keep_until == made.keep_until
    assert marker.tags == ()


@pytest.mark.parametrize(
    ("status", "changes", "serves"),
    [
        pytest.param(200, {}, True, id="fresh and whole"),
        pytest.param(200, {"fresh_until": 0.0}, False, id="stale"),
        pytest.param(200, {"refresh_at": 10.0}, False, id="to be renewed"),
        pytest.param(
            200, {"reuse": Reuse(always_validate=True)}, False, id="to be validated first"
        ),
        pytest.param(206, {}, False, id="a part"),
    ],
)
async def test_what_others_stored_answers_where_it_may(
    status: int, changes: dict[str, Any], serves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's entry is served unasked only if it is whole, fresh and not `no-cache`."""
    log = LocalLog()
    theirs = msgspec.structs.replace(entry(log, "k", StoredResponse(status, (), b"x")), **changes)

    async def fetch(key: str) -> Any:
        return SimpleNamespace(slot=Slot(theirs)) if key == "k" else None

    engine = CacheManager(redis_url=None, clock=lambda: 10.0).engine
    monkeypatch.setattr(engine.stack, "fetch", fetch)
    asked = request()
    flight = engine.flights.apart(entry(log, "k", StoredResponse(200, (), b"")))
    replies = Replies(engine, asked)
    fill = Fill(engine, asked, flight, replies, client=None, stored=StoredCandidates(), marker=None)

    assert isinstance(await fill.find_elsewhere(), Stored) is serves


async def test_how_long_a_response_took_is_known_to_the_first_tier() -> None:
    """From before the application was asked to its end, for a tier that keeps what was slow."""
    answer = answering(b"body")

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        cache.clock.advance(2.5)
        await answer(scope, receive, send)

    async with caching(slow) as cache:
        await cache.get("/x")
        tier = cache.manager.engine.stack.local
        assert isinstance(tier, MemoryTier)
        (slot,) = tier.select(lambda _: True)

    assert slot.entry.cost == 2.5
