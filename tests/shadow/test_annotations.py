"""What is proposed is source text that the package accepts, and says what was meant."""

from collections.abc import Callable
from typing import Any

import pytest

from asgi_multitier import Policy, Rule, cached, invalidates, no_cache
from asgi_multitier.routing.annotations import annotations_of
from asgi_multitier.shadow.annotations import (
    BY_ADDRESS,
    Changes,
    Dropping,
    cached_text,
    dropping,
    plain,
    tag_of,
    written_at,
)


def _partition(request: Any) -> str:
    return "one"


NAMES = {
    "cached": cached,
    "invalidates": invalidates,
    "no_cache": no_cache,
    "Policy": Policy,
    "_partition": _partition,
}


def pasted(text: str) -> Any:
    """What the package makes of an annotation."""

    async def endpoint(request: Any) -> None: ...

    mark: Callable[[Any], Any] = eval(text.removeprefix("@"), NAMES)
    return annotations_of(mark(endpoint))


POLICIES = [
    None,
    Policy(300),
    Policy(300, public=True),
    Policy(90.5, ignore_cookies=True, tags=["price:{id}"], stale_while_revalidate=30),
    Policy(300, ignore_cookies=["_ga*", "theme"], vary=["accept-language"]),
    Policy(300, cookies=["theme"], negative=10, jitter=0.1),
    Policy(300, query=["q"], key="price:{id}", compress=True),
    Policy(300, vary_by=_partition, lint_ignore="W3"),
    Policy(60, public=True, ignore_cookies=True, compress=["gzip"]),
    Policy(60, methods={"GET", "POST"}, body=True, max_body=100),
    Policy.from_origin(heuristics=True, strip=["x-own"]),
]

CHANGES = [
    Changes(vary=("accept-currency",)),
    Changes(vary=("authorization",)),
    Changes(cookies=("theme",)),
    Changes(cookies=("session",)),
    Changes(query=("page",)),
    Changes(vary_by=BY_ADDRESS),
    Changes(lifetime=10.0),
    Changes(lifetime=7.5, tags=("price:{id}",), vary=("accept",)),
    Changes(vary=("x-a", "x-b"), cookies=("one", "two"), lifetime=3600.0),
]


@pytest.mark.parametrize("changes", CHANGES, ids=range(len(CHANGES)))
@pytest.mark.parametrize("policy", POLICIES, ids=range(len(POLICIES)))
def test_what_is_proposed_is_accepted(policy: Policy | None, changes: Changes) -> None:
    """With what was there, and what is added."""
    text = cached_text(policy, changes)
    if policy is None and changes.lifetime is None:
        assert text is None
        return
    assert text is not None

    found = pasted(text).policy
    assert set(changes.vary) <= {name.decode() for name in found.vary}
    assert set(changes.cookies) <= set(found.cookies)
    assert found.query is None or set(changes.query) <= set(found.query)
    assert found.lifetime == (changes.lifetime or (policy and policy.lifetime))
    assert {str(one.text) for one in found.tags} >= set(changes.tags)
    if changes.vary_by:
        assert callable(found.vary_by)
    if policy is None:
        return
    for option in (
        "tags",
        "vary",
        "cookies",
        "key",
        "negative",
        "jitter",
        "stale_while_revalidate",
    ):
        kept, there = getattr(policy, option), getattr(found, option)
        assert there == kept or (isinstance(kept, tuple) and set(kept) <= set(there))


def test_what_stands_in_the_way_is_taken_out() -> None:
    """Each option that contradicts what is added, and no other."""
    policy = Policy(60, public=True, ignore_cookies=True, compress=["gzip"], negative=5)

    text = cached_text(policy, Changes(cookies=("theme",)))
    assert text == '@cached(60, cookies=["theme"], negative=5)'


def test_what_cannot_be_written_is_not_proposed() -> None:
    """A lambda has no name."""
    assert cached_text(Policy(60, when=lambda request: True), Changes(vary=("accept",))) is None
    assert cached_text(None, Changes(vary=("accept",))) is None
    text = cached_text(Policy(60, vary_by=_partition), Changes(vary=("accept",)))
    assert text == '@cached(60, vary=["accept"], vary_by=_partition)'


def test_nothing_is_stored() -> None:
    """Whatever else is asked for."""
    text = cached_text(Policy(60), Changes(vary=("accept",), never=True))
    assert text == "@no_cache"
    assert pasted(text).never


@pytest.mark.parametrize(
    "hostile", ['x"],public=True,vary=["y', "x\\", "x\n@cached(1)", "x'", "x{y}", "ä"]
)
def test_hostile_names_stay_texts(hostile: str) -> None:
    """Names come from clients: as text, or nothing is proposed."""
    for changes in (Changes(cookies=(hostile,)), Changes(vary=(hostile,))):
        text = cached_text(Policy(60), changes)
        assert text is None or pasted(text).policy is not None
    text = cached_text(Policy(60, query=["q"]), Changes(query=(hostile,)))
    assert text is not None
    assert pasted(text).policy.query == ("q", hostile)


ROUTES: list[tuple[str, str, Policy | None, frozenset[str], str]] = [
    (
        "PUT /prices/{id}",
        "GET /prices/{id}",
        Policy(60, tags=["price:{id}"]),
        frozenset(),
        '@invalidates(tags=["price:{id}"])',
    ),
    (
        "PUT /shops/{shop}/prices/{id:int}",
        "GET /prices/{id}",
        Policy(60, tags=["prices", "price:{id}"]),
        frozenset(),
        '@invalidates(tags=["price:{id}"])',
    ),
    (
        "POST /import",
        "GET /prices/{id}",
        Policy(60, tags=["price:{id}"]),
        frozenset(),
        '@invalidates(patterns=["/prices/*"])',
    ),
    (
        "POST /import",
        "GET /prices/{id}",
        None,
        frozenset({"prices"}),
        '@invalidates(tags=["prices"])',
    ),
    ("PUT /prices/{id}", "GET /catalog", None, frozenset(), '@invalidates(paths=["/catalog"])'),
    (
        "PUT /prices/{id:int}",
        "GET /prices/{id:int}/history",
        None,
        frozenset(),
        '@invalidates(paths=["/prices/{id}/history"])',
    ),
    ("POST /{a}", "GET /", None, frozenset(), '@invalidates(paths=["/"])'),
]


@pytest.mark.parametrize(("mutation", "route", "policy", "common", "text"), ROUTES)
def test_what_a_mutation_is_to_name(
    mutation: str, route: str, policy: Policy | None, common: frozenset[str], text: str
) -> None:
    """The narrowest that it knows."""
    found = dropping(mutation, route, policy, common).text()

    assert found == text
    assert pasted(found).invalidations is not None


def test_settling() -> None:
    """Seconds alone are accepted."""
    assert Dropping(settle=3).text() == "@invalidates(settle=3)"
    assert pasted("@invalidates(settle=3)").invalidations.settle == 3.0


@pytest.mark.parametrize(
    ("route", "tag"),
    [
        ("GET /prices/{id}", "price:{id}"),
        ("GET /shops/{shop}/prices/{id:int}", "price:{id}"),
        ("GET /catalog", "catalog"),
        ("GET /", "page"),
        ("GET /{name:path}", "page:{name}"),
        ("GET /api/v1/things/{id}", "thing:{id}"),
    ],
)
def test_a_tag_for_a_route(route: str, tag: str) -> None:
    """By its template."""
    assert tag_of(route) == tag
    assert pasted(f'@cached(60, tags=["{tag}"])').policy.tags[0].text == tag


def test_types_of_places_are_left_out() -> None:
    """Templates of annotations have names alone."""
    assert plain("/a/{id:int}/{rest:path}") == "/a/{id}/{rest}"


@pytest.mark.parametrize("name", ["a\u202eb", "\x9b31m", "a\u2028b", 'a"\\b', "\x1b[31m", "\u00e9"])
def test_names_that_clients_choose_stand_in_the_text_as_they_read(name: str) -> None:
    """Nothing that turns the text around it or ends its line; the name is meant all the same."""
    text = cached_text(Policy(60, query=["p"]), Changes(query=(name,)))
    assert text is not None
    assert text.isprintable()
    assert set(pasted(text).policy.query) == {"p", name}


@pytest.mark.parametrize(
    ("route", "changes", "text"),
    [
        ("GET /prices/*", Changes(vary=("accept",)), 'Rule("/prices/*", 300, vary=["accept"])'),
        ("GET /prices/?", Changes(never=True), 'Rule("/prices/?", None)'),
        ("GET /prices/{id}", Changes(never=True), "@no_cache"),
        ("GET -", Changes(vary=("accept",)), None),
    ],
)
def test_without_an_endpoint_a_rule_is_written(
    route: str, changes: Changes, text: str | None
) -> None:
    """There is nothing that an annotation could stand at."""
    assert written_at(route, Policy(300), changes) == text
    if text is not None and text.startswith("Rule"):
        rule = eval(text, {"Rule": Rule})
        assert rule.glob == route.removeprefix("GET ")
        assert (rule.policy is None) == changes.never
