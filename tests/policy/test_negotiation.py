"""Which content codings a request accepts (RFC 9110 §12.5.3), row by row and by a slow reading."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_multitier.policy.negotiation import accept_encoding_of, accepted, accepting

OFFERED = (b"zstd", b"br", b"gzip")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, "identity"),
        ("", "identity"),
        ("identity", "identity"),
        ("gzip", "gzip identity"),
        ("GZip", "gzip identity"),
        ("x-gzip", "gzip identity"),
        ("gzip, deflate, br, zstd", "zstd br gzip identity"),
        ("gzip,,  ,br", "br gzip identity"),
        ("*", "zstd br gzip identity"),
        ("*;q=0", "identity"),
        ("*;q=0, gzip", "gzip"),
        ("*;q=0.5, gzip", "gzip zstd br identity"),
        ("*;q=0.5, identity;q=0.7", "identity zstd br gzip"),
        ("*, zstd;q=0", "br gzip identity"),
        ("*;q=0, identity", "identity"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000", "identity"),
        ("gzip;q=0.001", "gzip identity"),
        ("br;q=0.5, gzip;q=0.8", "gzip br identity"),
        ("br;q=0.5, gzip ; Q=0.5", "br gzip identity"),
        ("br;q=0.5, identity", "identity br"),
        ("br;q=0.5, identity;q=0.5", "br identity"),
        ("identity;q=0", "identity"),
        ("identity;q=0, gzip", "gzip"),
        ("identity;q=0, deflate", "identity"),
        # What is written badly refuses, and permits nothing.
        ("gzip;q=2", "identity"),
        ("gzip;q=1.001", "identity"),
        ("gzip;q=0.1234", "identity"),
        ("gzip;q=", "identity"),
        ("gzip;q", "identity"),
        ("gzip;", "identity"),
        ("gzip;level=9", "identity"),
        ("gzip q=1", "identity"),
        ("gzip;q=1;q=0", "identity"),
        ("*;q=x, identity;q=x, br", "br identity"),
        ("*, gzip;q=x", "zstd br identity"),
        ("gzip, gzip;q=x", "identity"),
        # Of two weights the lower counts.
        ("gzip, gzip;q=0", "identity"),
        ("gzip;q=0, x-gzip", "identity"),
        ("gzip;q=0.1, br;q=0.5, gzip;q=0.9", "br gzip identity"),
    ],
)
def test_accepted_codings_by_preference(field: str | None, expected: str) -> None:
    """The offered ones that may be sent, the best first, and the content as it is."""
    given_field = None if field is None else field.encode()

    assert accepted(given_field, OFFERED) == tuple(expected.encode().split())


def test_the_order_of_the_offer_decides_between_equals() -> None:
    """And what is not offered is not chosen."""
    assert accepted(b"zstd, br, gzip", (b"gzip", b"br")) == (b"gzip", b"br", b"identity")


def test_a_long_field_is_read_in_the_same_way() -> None:
    """Whether it is remembered or not."""
    field = b"gzip;q=0.5, " + b"x" * 300 + b", br;q=0.7"

    assert accepted(field, OFFERED) == (b"br", b"gzip", b"identity")
    assert field not in accepting(OFFERED)


def test_many_fields_are_read_in_the_same_way() -> None:
    """What is remembered of them has a bound: clients choose what they send."""
    memory = accepting((b"br",))
    for number in range(3000):
        weight = f"br;q=0.{number % 1000:03}, x{number}".encode()
        expected = (b"br", b"identity") if number % 1000 else (b"identity",)

        assert accepted(weight, (b"br",)) == expected
        assert len(memory) <= 1024
    assert accepting((b"br",)) is memory


def test_lines_are_one_list() -> None:
    """RFC 9110 §5.2."""
    lines = ((b"accept-encoding", b"gzip"), (b"accept", b"*/*"), (b"accept-encoding", b"br;q=0"))

    assert accept_encoding_of(lines) == b"gzip, br;q=0"
    assert accept_encoding_of(()) is None


WEIGHTS = st.one_of(
    st.just(""),
    st.decimals(0, 1, places=3).map(lambda weight: f";q={weight}"),
    st.sampled_from(["; q=0", " ;q=0.5", ";q=1", ";q=0.", ";Q=0.25"]),
)
MEMBERS = st.tuples(
    st.sampled_from(["zstd", "br", "gzip", "x-gzip", "deflate", "identity", "*", "GZIP"]), WEIGHTS
).map("".join)


def by_the_book(field: str, coding: str) -> Decimal | None:
    """The weight of a coding, read slowly: RFC 9110 §12.5.3; None for one that is not named."""
    found = []
    for member in field.split(","):
        name, _, rest = member.strip().lower().partition(";")
        weight = Decimal(rest.strip()[2:]) if rest else Decimal(1)
        if name.strip().removeprefix("x-") == coding:
            found.append(weight)
    return min(found) if found else None


@given(st.lists(MEMBERS, min_size=1, max_size=7).map(", ".join))
def test_no_coding_is_sent_that_is_not_accepted(field: str) -> None:
    """Rules 2, 3 and 4 of the section, for each coding by itself, and the order of the weights."""
    chosen = [coding.decode() for coding in accepted(field.encode(), OFFERED)]
    star = by_the_book(field, "*")
    weights = {}
    for coding in ("zstd", "br", "gzip"):
        named = by_the_book(field, coding)
        weights[coding] = (star or Decimal(0)) if named is None else named
    own = by_the_book(field, "identity")
    own = star if own is None else own
    readable = {coding for coding, weight in weights.items() if weight > 0}
    if own is None or own > 0 or not readable:
        readable.add("identity")

    assert set(chosen) == readable
    ranks = [weights.get(coding, own or Decimal(0)) for coding in chosen]
    assert ranks == sorted(ranks, reverse=True)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail(field: bytes) -> None:
    """Whatever a client sends, there is an answer, and none that it does not name."""
    chosen = accepted(field, OFFERED)

    assert chosen
    for coding in set(chosen) - {b"identity"}:
        assert coding in field.lower() or b"*" in field
