"""Keys: what is equal, what is told apart, and that no choice of bytes imitates another's."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_multitier.policy.key import (
    RESPONSE_MARK,
    Veil,
    canonical_query,
    extended,
    field_part,
    forwarded_parts,
    host_of,
    length_prefixed,
    primary_key,
    storage_key,
    target_is_plain,
)
from tests.policy.support import lines


@pytest.mark.parametrize(
    ("raw", "scheme", "host"),
    [
        (b"Example.ORG", "http", b"example.org"),
        (b"example.org:80", "http", b"example.org"),
        (b"example.org:443", "https", b"example.org"),
        (b"example.org:443", "http", b"example.org:443"),
        (b"example.org:80", "https", b"example.org:80"),
        (b"example.org:080", "http", b"example.org:080"),
        (b"example.org:0", "http", b"example.org:0"),
        (b"example.org.", "http", b"example.org."),
        (b"[::1]", "http", b"[::1]"),
        (b"[::1]:80", "http", b"[::1]"),
        (b"[FE80::1%25eth0]:8080", "http", b"[fe80::1%25eth0]:8080"),
        (b"127.0.0.1:8000", "http", b"127.0.0.1:8000"),
        (b"a_b-c~d", "http", b"a_b-c~d"),
        (None, "http", None),
        (b"", "http", None),
        (b":80", "http", None),
        (b"a:", "http", None),
        (b"a:8o", "http", None),
        (b"a:-1", "http", None),
        (b"a:123456", "http", None),
        (b"a:b:80", "http", None),
        (b"::1", "http", None),
        (b"a/b", "http", None),
        (b"a?b", "http", None),
        (b"a#b", "http", None),
        (b"a@b", "http", None),
        (b"a b", "http", None),
        (b"a,b", "http", None),
        (b"a\\b", "http", None),
        (b"a\x00", "http", None),
        (b"a\r\n", "http", None),
        (b"\xe4", "http", None),
    ],
)
def test_hosts_are_brought_into_one_form_or_refused(
    raw: bytes | None, scheme: str, host: bytes | None
) -> None:
    """Case and the scheme's own port are removed; a malformed host has no key."""
    assert host_of(raw, scheme) == host


@pytest.mark.parametrize(
    ("path", "query", "plain"),
    [
        (b"/", b"", True),
        (b"/a%2f;b=1\\", b"a=1&b[]=2", True),
        (b"//a", b"", True),
        (b"/~!$&'()*+,;=:@[]{}|^`\"<>", b"?/?", True),
        (b"", b"", False),
        (b"a", b"", False),
        (b"*", b"", False),
        (b"http://a/b", b"", False),
        (b"/a#b", b"", False),
        (b"/a", b"b#c", False),
        (b"/a b", b"", False),
        (b"/a\t", b"", False),
        (b"/a\x00", b"", False),
        (b"/a\x7f", b"", False),
        (b"/a\x80", b"", False),
        (b"/a", b"\xff", False),
    ],
)
def test_targets_that_parsers_agree_about(path: bytes, query: bytes, plain: bool) -> None:
    """Origin form, printable ASCII, no fragment."""
    assert target_is_plain(path, query) is plain


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        (b"", b""),
        (b"b=1&a=2", b"a=2&b=1"),
        (b"b=1&a=2&b=0", b"a=2&b=1&b=0"),
        (b"a=2&a=1", b"a=2&a=1"),
        (b"a=1&%61=2&b", b"a=1&%61=2&b"),
        (b"b&%61=2&a=1", b"%61=2&a=1&b"),
        (b"a+b=1&a%20b=2&a", b"a&a+b=1&a%20b=2"),
        (b"a&a=&a", b"a&a=&a"),
        (b"&a", b"&a"),
        (b"a&", b"&a"),
    ],
)
def test_an_allow_list_sorts_by_the_name_that_applications_read(
    query: bytes, ordered: bytes
) -> None:
    """Values of one name keep their order, however the name is written."""
    names = frozenset({"a", "b", "a b", ""})

    assert canonical_query(query, names) == ordered


NAMES = frozenset({"a", "b", "a ", ""})


@given(st.lists(st.sampled_from(["a", "%61", "b", "a+", "a%20", ""]), max_size=6), st.randoms())
def test_only_the_order_between_names_is_forgotten(names: list[str], randomly: object) -> None:
    """Two queries are equal only if every name has its values in the same order."""
    from urllib.parse import parse_qsl

    pairs = [f"{name}={number}" for number, name in enumerate(names)]
    shuffled = list(pairs)
    randomly.shuffle(shuffled)  # type: ignore[attr-defined]

    def read(pairs: list[str]) -> dict[str, list[str]]:
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl("&".join(pairs), keep_blank_values=True):
            values.setdefault(name, []).append(value)
        return values

    one, other = (canonical_query("&".join(p).encode(), NAMES) for p in (pairs, shuffled))

    assert (one == other) == (read(pairs) == read(shuffled))


@pytest.mark.parametrize(
    ("query", "narrowed"),
    [
        (b"a=1&x=2&b=3", b"a=1&b=3"),
        (b"x=1", b""),
        (b"%61=1&a=2", b"%61=1&a=2"),
        (b"a;x=1", b""),
        (b"a[]=1", b""),
        (b"A=1", b""),
        (b"b&a", b"a&b"),
        (b"", b""),
    ],
)
def test_an_allow_list_goes_by_the_decoded_name(query: bytes, narrowed: bytes) -> None:
    """The rest is neither keyed on nor seen."""
    allowed = frozenset({"a", "b"})

    assert canonical_query(query, allowed) == narrowed


PARTS = {
    "scheme": ["http", "https"],
    "host": [b"a", b"a:1"],
    "root_path": ["", "/r"],
    "raw_path": [b"/r/a", b"/r/%61"],
    "query": [b"", b"a"],
    "version": ["", "1"],
}


def test_every_part_of_a_request_tells_keys_apart() -> None:
    """All combinations are distinct, and all are keys of responses."""
    keys = {
        primary_key(path="/r/a", **dict(zip(PARTS, values, strict=True)))
        for values in itertools.product(*PARTS.values())
    }

    assert len(keys) == 64
    assert all(key.startswith(RESPONSE_MARK) for key in keys)


def test_a_rewritten_path_counts_beside_the_raw_one() -> None:
    """A layer outside changed what the application routes by."""
    same = {"scheme": "http", "host": b"h", "root_path": "", "raw_path": b"/a", "query": b""}

    assert primary_key(path="/a", **same) != primary_key(path="/b", **same)  # type: ignore[arg-type]
    assert primary_key(path="/b", **same) != primary_key(path="/\udce9", **same)  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=6)), st.lists(st.binary(max_size=6)))
def test_no_bytes_imitate_other_parts(one: list[bytes], other: list[bytes]) -> None:
    """Two lists of parts give one text only if they are equal."""
    assert (length_prefixed(one) == length_prefixed(other)) == (one == other)


@given(st.lists(st.binary(max_size=4), min_size=1), st.lists(st.binary(max_size=4), min_size=1))
def test_what_a_rule_adds_is_told_apart(one: list[bytes], other: list[bytes]) -> None:
    """An extended key is never another extension, nor the bare key."""
    assert extended("k", one) != "k"
    assert (extended("k", one) == extended("k", other)) == (one == other)


def test_an_absent_field_is_no_empty_one() -> None:
    """And several lines are not one that lists the same: an application may read the first."""
    veil = Veil(b"shop")

    assert field_part([], b"a", veil) != field_part(lines(("a", "")), b"a", veil)
    two = field_part(lines(("A", "1"), ("a", " 2 ")), b"a", veil)
    assert two == field_part(lines(("a", " 1"), ("a", "2")), b"a", veil)
    assert two != field_part(lines(("a", "1, 2")), b"a", veil)


def test_a_veil_is_the_same_for_all_who_hold_its_secret() -> None:
    """And tells nothing to those who do not."""
    assert Veil(b"shop")(b"ann") == Veil(b"shop")(b"ann")
    assert Veil(b"shop")(b"ann") != Veil(b"shop")(b"bob")
    assert Veil(b"shop")(b"ann") != Veil(b"depot")(b"ann")


def test_a_query_keeps_what_is_nobodys_and_hides_the_rest() -> None:
    """By the names of its parameters as the application reads them; nothing sent looks hidden."""
    veil = Veil(b"shop")

    assert veil.query(b"") == b""
    assert veil.query(b"page=1&&q=a=b&lang") == b"page=1&&q=a=b&lang"
    hidden = veil.query(b"page=1&token=ann&%74oken=ann&token&" + b"x" * 65 + b"=1").split(b"&")
    assert hidden[0] == b"page=1"
    assert hidden[1] == b"token\x00" + veil(b"token=ann")
    assert all(b"\x00" in part and b"ann" not in part for part in hidden[1:])
    assert len(set(hidden)) == 5


@pytest.mark.parametrize(
    ("sent", "parts"),
    [
        ([("x-forwarded-host", "a")], [b"x-forwarded-host=a"]),
        ([("X-Forwarded-Host", "a")], [b"x-forwarded-host=a"]),
        ([("x-host", "a"), ("x-host", "b")], [b"x-host=a", b"x-host=b"]),
        ([("forwarded", "for=1;host=a;proto=https")], [b"forwarded=host=a;proto=https"]),
        ([("forwarded", "For=1, for=2;HOST=A")], [b"forwarded=host=a"]),
        ([("forwarded", "by=x")], [b"forwarded="]),
    ],
)
def test_forwarding_fields_are_parts_without_the_clients_name(
    sent: list[tuple[str, str]], parts: list[bytes]
) -> None:
    """Of `Forwarded` only what URLs are built from."""
    assert forwarded_parts(lines(*sent)) == parts


def test_storage_keys_are_short_printable_and_told_apart() -> None:
    """Responses and values never meet, whatever the key's length."""
    names = [storage_key(key) for key in ("a", RESPONSE_MARK + "a", "a" * 100_000, "\udcff", "")]

    assert len(set(names)) == 5
    assert all(name.isascii() and name.isprintable() and len(name) == 34 for name in names)
    assert names[1].startswith("r:")
    assert names[0].startswith("v:")
