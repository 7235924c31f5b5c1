"""Plans: what is known of a target before anything of the request itself is looked at."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from asgi_multitier.asgi.plan import Plan, RuledMemory, plan_for, raw_target
from asgi_multitier.asgi.request_key import request_key
from asgi_multitier.config.policy import Policy
from asgi_multitier.config.process import CacheConfig
from asgi_multitier.events import Tally
from asgi_multitier.policy.key import Veil
from asgi_multitier.policy.partition import partition_part
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.request import Field, FieldLines
from asgi_multitier.routing import Resolved, RouteTable
from tests.policy.support import lines
from tests.support import scope_of

RESOLVED = RouteTable().resolve("GET", "/x")


def plan(
    target: str = "/x",
    policy: Policy | None = None,
    *,
    host: bytes | None = b"h",
    reason: Reason | None = None,
    max_url: int = 100,
    **scope: Any,
) -> Plan:
    """The plan of a target."""
    resolved = replace(RESOLVED, policy=policy or Policy(60))
    config = CacheConfig(redis_url=None, max_url=max_url)
    request = scope_of("GET", target, **scope)
    return plan_for(request, host, resolved, Tally(), config, Veil(b"shop"), reason=reason)


def test_a_plain_target_has_a_whole_key() -> None:
    """Nothing of the request is added to it unless something is found."""
    made = plan("/x?b=1&a=2")

    assert made.reason is None
    assert made.whole
    assert made.query is None
    assert request_key(made, [], None, None) == made.key
    assert made.key != plan("/x?a=2&b=1").key


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"host": None}, Reason.HOST),
        ({"host": b"a/b"}, Reason.HOST),
        ({"target": "/" + "a" * 100}, Reason.TARGET),
        ({"target": "/x?" + "a" * 99}, Reason.TARGET),
        ({"target": "*"}, Reason.TARGET),
        ({"target": "/x#y"}, Reason.TARGET),
        ({"target": "/x", "path": "/" + "a" * 9000}, Reason.TARGET),
        ({"reason": Reason.NO_RULE}, Reason.NO_RULE),
        ({"reason": Reason.NO_RULE, "host": None}, Reason.NO_RULE),
        ({"target": "/" + "a" * 99}, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_keeps_a_target_out(options: Mapping[str, Any], reason: Reason | None) -> None:
    """The first reason counts, and there is no key then."""
    made = plan(**options)

    assert made.reason == reason
    assert (made.key == "") is (reason is not None)


@pytest.mark.parametrize(
    ("policy", "whole", "plain"),
    [
        (Policy(60), True, {Field.CACHE_CONTROL, Field.PRAGMA}),
        (Policy(60, honor_request_directives=True), True, set()),
        (
            Policy(60, public=True),
            True,
            {
                Field.CACHE_CONTROL,
                Field.PRAGMA,
                Field.AUTHORIZATION,
                Field.CREDENTIALS,
                Field.COOKIE,
            },
        ),
        (Policy(60, vary=["a"]), False, {Field.CACHE_CONTROL, Field.PRAGMA}),
        (Policy(60, cookies=["a"]), False, {Field.CACHE_CONTROL, Field.PRAGMA}),
        (Policy(60, vary_by=lambda r: "x"), False, {Field.CACHE_CONTROL, Field.PRAGMA}),
        (Policy(60, when=lambda r: True), False, {Field.CACHE_CONTROL, Field.PRAGMA}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_which_requests_take_the_short_way(policy: Policy, whole: bool, plain: set[Field]) -> None:
    """Only where nothing of the request can change the key or the decision."""
    made = plan(policy=policy)

    assert made.whole is whole
    assert made.plain == plain


def test_every_kind_of_addition_tells_requests_apart() -> None:
    """Fields, cookies, partitions, forwarding and credentials: all combinations differ."""
    policy = Policy(60, vary=["a"], cookies=["c"], vary_by=lambda r: None)
    made = plan(policy=policy)
    keys = [
        request_key(made, lines(*fields), cookies | forwarded, partition)
        for fields in ([], [("a", "")], [("a", "1")], [("a", "c")])
        for cookies in _found(Field.COOKIE, "cookie", "", "c=", "c=1", "c=1; c=2", "d=1")
        for forwarded in _found(Field.FORWARDED, "x-forwarded-host", None, "a", "b")
        for partition in map(partition_part, ("1", 1, b"1", ""))
    ]

    # A cookie that the rule does not name is the same as none.
    assert len(set(keys)) == len(keys) - len(keys) // 5


def _found(field: Field, name: str, *values: str | None) -> list[FieldLines]:
    return [{} if value is None else {field: [(name.encode(), value.encode())]} for value in values]


def test_answers_to_authorization_have_everybodys_key_where_responses_decide() -> None:
    """In `from_origin` mode each response says whether it is shared with those (RFC 9111 §3.5)."""
    found: FieldLines = {Field.AUTHORIZATION: [(b"authorization", b"x")]}
    decided = plan(policy=Policy.from_origin())
    public = plan(policy=Policy.from_origin(public=True))

    assert request_key(decided, [], found, None) == decided.key
    assert request_key(public, [], found, None) == public.key


@pytest.mark.parametrize(
    ("changes", "raw"),
    [
        ({}, (b"/x%20y", b"q=1")),
        ({"raw_path": None}, (b"/x y", b"q=1")),
        ({"raw_path": b"/x%20y?q=1"}, (b"/x%20y", b"q=1")),
        ({"raw_path": None, "path": "/\udce9"}, (b"/\xed\xb3\xa9", b"q=1")),
    ],
    ids=str,
)
def test_the_target_as_sent(changes: dict[str, Any], raw: tuple[bytes, bytes]) -> None:
    """Servers differ in what they put into `raw_path`."""
    assert raw_target(scope_of("GET", "/x%20y?q=1", **changes)) == raw


def test_plans_of_a_rule_share_what_is_the_rules() -> None:
    """Terms, sets and the origin are there once; others have their own."""
    memory, config, resolved = RuledMemory(), CacheConfig(), replace(RESOLVED, policy=Policy(60))

    def made(path: str, resolved: Resolved, config: CacheConfig) -> Plan:
        request = scope_of("GET", path)
        return plan_for(
            request, b"a", resolved, Tally(), config, Veil(b"s"), reason=None, ruled=memory
        )

    one, two = made("/1", resolved, config), made("/2", resolved, config)
    other = made("/3", replace(RESOLVED, policy=Policy(61)), config)
    bound = made("/4", resolved, CacheConfig(max_entry=7))

    assert one.terms is two.terms
    assert one.plain is two.plain
    assert one.origin is two.origin
    assert other.terms.lifetime == 61
    assert bound.terms.max_entry == 7
