"""What may have chosen an answer: by name, with a digest in place of each value."""

from types import SimpleNamespace
from typing import Any

import pytest

from asgi_multitier import Policy, Rule
from asgi_multitier.asgi.shadowing.fingerprints import Fingerprints
from asgi_multitier.asgi.shadowing.traits import READ, TraitsReader
from asgi_multitier.policy.credentials import Credentials
from asgi_multitier.policy.request import Watch
from asgi_multitier.shadow import Traits
from asgi_multitier.shadow.observation import NAMELESS
from tests.support import Origin, caching, scope_of

SECRET = "s3cret-value"


class Failing:
    """A user who cannot be asked."""

    @property
    def identity(self) -> str:
        raise NotImplementedError


async def read(*scopes: Any, policy: Policy | None = None) -> list[Traits]:
    """The traits of requests, read in one process."""
    async with caching(Origin(), (Rule("*", policy or 60),)) as cache:
        reader = TraitsReader(Fingerprints(), Watch(Credentials()))
        planning = cache.middleware._planning
        return [reader.read(scope, planning.make(scope, b"example.org")) for scope in scopes]


LEFT_OUT = [
    *("host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "expect"),
    *("if-none-match", "if-modified-since", "if-match", "if-unmodified-since"),
    *("range", "if-range", "x" * 65),
]


async def test_fields_by_name() -> None:
    """Lower-case; what belongs to the connection, a condition or a range is left out."""
    lines = [("Accept-Language", "de"), ("x-tenant", SECRET), ("x-tenant", "b")]
    lines += [(name, "1") for name in LEFT_OUT]
    (found,) = await read(scope_of("GET", "/a", lines))

    assert set(found.fields) == {b"accept-language", b"x-tenant"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([("x-a", "1")], [("x-a", "1")], True),
        ([("x-a", "1")], [("x-a", "2")], False),
        ([("x-a", "1, 2")], [("x-a", "1"), ("x-a", "2")], False),
        ([("x-a", "1"), ("x-a", "2")], [("x-a", "2"), ("x-a", "1")], False),
        ([("x-a", "")], [], False),
    ],
)
async def test_a_digest_is_that_of_all_values(one: Any, other: Any, same: bool) -> None:
    """In the order in which they were sent."""
    first, second = await read(scope_of("GET", "/a", one), scope_of("GET", "/a", other))

    assert (first.fields == second.fields) is same


async def test_cookies_one_by_one() -> None:
    """From all lines."""
    lines = [("cookie", f"session={SECRET}; theme=dark"), ("cookie", "lang=de; odd")]
    (found,) = await read(scope_of("GET", "/a", lines))

    assert set(found.cookies) == {"session", "theme", "lang"}
    assert found.fields == {}


async def test_parameters_that_the_key_leaves_out() -> None:
    """Those in the key tell nothing."""
    scope = scope_of("GET", f"/a?lang=de&page=1&page=2&token={SECRET}")
    narrow = await read(scope, policy=Policy(60, query=["lang"]))
    whole = await read(scope)

    assert set(narrow[0].query) == {"page", "token"}
    assert whole[0].query == {}


async def test_clients_and_users() -> None:
    """By address, by credentials, and by whom a layer around the cache has found."""
    plain = scope_of("GET", "/a")
    scopes = [
        plain,
        scope_of("GET", "/a", client=("10.0.0.9", 1)),
        scope_of("GET", "/a", client=("10.0.0.9", 2)),
        scope_of("GET", "/a", client=None),
        scope_of("GET", "/a", [("authorization", SECRET)]),
        scope_of("GET", "/a", [("x-api-key", SECRET)]),
        scope_of("GET", "/a", user=SimpleNamespace(identity=SECRET)),
        scope_of("GET", "/a", user={"id": 7}),
        scope_of("GET", "/a", user="ann"),
        scope_of("GET", "/a", user=Failing()),
    ]
    found = await read(*scopes)

    assert found[1].client == found[2].client != found[0].client != 0
    assert found[3].client == 0
    users = [each.user for each in found]
    assert users[:4] == [0, 0, 0, 0]
    assert len(set(users[4:9])) == 5
    assert 0 not in users[4:9]
    assert users[9] == 0


async def test_values_are_nowhere() -> None:
    """Neither in the traits nor in what is remembered of them."""
    scope = scope_of(
        "GET", f"/a?t={SECRET}", [("authorization", SECRET), ("cookie", f"a={SECRET}")], user=SECRET
    )
    async with caching(Origin(), (Rule("*", Policy(60, query=["a"])),)) as cache:
        reader = TraitsReader(Fingerprints(), Watch(Credentials()))
        traits = reader.read(scope, cache.middleware._planning.make(scope, b"example.org"))

        assert SECRET not in repr(traits)
        assert SECRET not in repr((reader._remembered._young, reader._remembered._old))


async def test_equal_requests_share_what_was_read() -> None:
    """One object for all; of few requests."""
    async with caching(Origin()) as cache:
        reader = TraitsReader(Fingerprints(), Watch(Credentials()))
        plan = cache.middleware._planning.make(scope_of("GET", "/a"), b"example.org")
        one, same = (reader.read(scope_of("GET", "/a", [("x-a", "1")]), plan) for _ in "ab")
        assert one is same
        for number in range(3_000):
            reader.read(scope_of("GET", "/a", [("x-a", str(number))]), plan)
        assert len(reader._remembered) <= 1_024


async def test_a_client_does_not_decide_how_much_is_kept() -> None:
    """Nor how long the names are."""
    lines = [(f"x-{number}", "1") for number in range(500)]
    cookies = "; ".join(f"c{number}=1" for number in range(500)) + f"; {'n' * 65}=1"
    query = "&".join(f"q{number}=1" for number in range(500))
    scope = scope_of("GET", f"/a?{query}", [*lines, ("cookie", cookies)])
    (found,) = await read(scope, policy=Policy(60, query=["a"]))

    assert (len(found.fields), len(found.cookies), len(found.query)) == (64, 64, 64)


@pytest.mark.parametrize(("first", "mark"), [("a=0", "cookie"), ("a=0", "query")])
async def test_what_follows_many_names_is_not_read(first: str, mark: str) -> None:
    """A client may send as many as a server takes; reading them all would stop the others."""
    names = [first, *(f"{'x' * 65}{number}=1" for number in range(READ)), "late=1"]
    if mark == "cookie":
        (found,) = await read(scope_of("GET", "/a", [("cookie", "; ".join(names))]))
        assert set(found.cookies) == {"a"}
    else:
        scope = scope_of("GET", "/a?" + "&".join(names))
        (found,) = await read(scope, policy=Policy(60, query=[]))
        assert set(found.query) == {"a"}


async def test_a_parameter_without_equals_may_be_a_value() -> None:
    """So it is not told as a name; those that the rule names are in the key."""
    targets = (f"/a?{SECRET}&page&x=1", "/a?other&page&x=1", "/a?page&x=1&&")
    scopes = [scope_of("GET", target) for target in targets]
    one, other, none = await read(*scopes, policy=Policy(60, query=["page"]))

    assert set(one.query) == {NAMELESS, "x"}
    assert one.query[NAMELESS] != other.query[NAMELESS]
    assert set(none.query) == {"x"}
