"""Records as bytes."""

from itertools import chain
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_multitier.coherence.log import Operation, Update
from asgi_multitier.coherence.marks import ALL, canonical
from asgi_multitier.coherence.records import BEGINNING, MAX_BODY, Body, RecordCodec, bodies
from asgi_multitier.entry import Born
from asgi_multitier.errors import SerializationError
from asgi_multitier.selectors import Selector, glob_matches

BODY = Body(
    1, "node", "gen", 7, 3, 0.5, (Selector("tag", "t"),), (("k", b"\x00\xff", 2.5, ("t",)),), 9.5
)
SECRET = b"s" * 32


@pytest.mark.parametrize("secret", [None, SECRET], ids=["plain", "MAC"])
def test_a_body_survives_the_way_through_bytes(secret: bytes | None) -> None:
    """What was written is read, selectors as selectors."""
    codec = RecordCodec("ns", secret)
    data, mac = codec.encode("op", BODY)
    read = codec.decode("op", data, mac)

    assert read == BODY
    assert isinstance(read.selectors[0], Selector)
    assert len(mac) == (4 if secret is None else 16)


@pytest.mark.parametrize("secret", [None, SECRET], ids=["checksum", "MAC"])
def test_no_bit_of_a_record_can_be_changed(secret: bytes | None) -> None:
    """A damaged selector would drop something else, and leave what was meant."""
    codec = RecordCodec("ns", secret)
    data, mac = codec.encode("op", BODY)

    for at in range(8 * len(data)):
        byte, bit = divmod(at, 8)
        changed = data[:byte] + bytes([data[byte] ^ (1 << bit)]) + data[byte + 1 :]
        with pytest.raises(SerializationError):
            codec.decode("op", changed, mac)
    with pytest.raises(SerializationError):
        codec.decode("oq", data, mac)


def test_a_record_of_a_release_without_checksums_is_read() -> None:
    """Both run side by side during a deploy."""
    codec = RecordCodec("ns")

    assert codec.decode("op", codec.encode("op", BODY)[0], b"") == BODY


@pytest.mark.parametrize(
    ("op", "flip", "namespace", "secret"),
    [
        pytest.param("other", False, "ns", SECRET, id="another operation's"),
        pytest.param("op", True, "ns", SECRET, id="changed"),
        pytest.param("op", False, "nt", SECRET, id="another namespace's"),
        pytest.param("op", False, "ns", b"x" * 32, id="another secret's"),
    ],
)
def test_a_record_that_is_not_authentic_is_refused(
    op: str, flip: bool, namespace: str, secret: bytes
) -> None:
    """The MAC binds operation, body and namespace."""
    data, mac = RecordCodec("ns", SECRET).encode("op", BODY)
    if flip:
        data = data[:-1] + bytes([data[-1] ^ 1])

    with pytest.raises(SerializationError, match="authentic"):
        RecordCodec(namespace, secret).decode(op, data, mac)


def test_a_record_without_mac_is_refused_where_one_is_asked_for() -> None:
    """No downgrade: the reader's configuration decides."""
    data, _ = RecordCodec("ns").encode("op", BODY)

    with pytest.raises(SerializationError):
        RecordCodec("ns", SECRET).decode("op", data, b"")


PLAIN = msgspec.msgpack.decode(RecordCodec("ns").encode("op", BODY)[0])


def altered(position: int, value: object) -> bytes:
    return msgspec.msgpack.encode([*PLAIN[:position], value, *PLAIN[position + 1 :]])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xc1", id="not MessagePack"),
        pytest.param(altered(0, 2), id="another version"),
        pytest.param(altered(6, [["moon", "x"]]), id="unknown selector"),
        pytest.param(altered(4, "3"), id="number as text"),
        pytest.param(altered(6, "tags"), id="no list"),
        pytest.param(msgspec.msgpack.encode(PLAIN[:5]), id="fields missing"),
        pytest.param(altered(1, "\u00e9").replace(b"\xc3\xa9", b"\xff\xff"), id="bad UTF-8"),
        pytest.param(b"x" * (MAX_BODY + 1), id="too long"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    """A SerializationError, nothing else."""
    with pytest.raises(SerializationError):
        RecordCodec("ns").decode("op", data, b"")


def test_the_record_that_opens_a_generation_drops_nothing() -> None:
    """The server's script writes it, without a body and without a MAC."""
    assert RecordCodec("ns", SECRET).decode("gen:abc", b"", b"") is BEGINNING


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Reading is safe for any input."""
    try:
        RecordCodec("ns").decode("op", data, b"")
    except SerializationError:
        return


class FirstBody(msgspec.Struct, array_like=True, frozen=True):
    """A body as the first release reads and writes it."""

    version: Literal[1]
    node: str
    gen: str
    seq: int
    fence: int
    settle: float
    selectors: tuple[Selector, ...]
    updates: tuple[tuple[str, bytes | None, float, tuple[str, ...]], ...] = ()


LONG = canonical(Selector("path", "/a*b/" + "c" * 500))
WIDER = [
    pytest.param(Selector("glob", r"/a\*/*"), Selector("glob", "/a?/*"), id="escapes"),
    pytest.param(Selector("glob", "/a/*"), Selector("glob", "/a/*"), id="without"),
    pytest.param(LONG, Selector("glob", "/a?b/" + "c" * 89 + "*"), id="long path"),
    pytest.param(
        canonical(Selector("prefix", "/a*b/" + "c" * 500)), Selector("prefix", "/a*b"), id="prefix"
    ),
    pytest.param(canonical(Selector("tag", "t" * 500)), ALL, id="long tag"),
    pytest.param(Selector("tag", "t"), Selector("tag", "t"), id="tag"),
]


@pytest.mark.parametrize(("selector", "wider"), WIDER)
def test_the_first_release_reads_what_is_at_least_as_wide(
    selector: Selector, wider: Selector
) -> None:
    """In a rolling deploy: it knows neither escapes nor digests, and drops more, never less."""
    body = msgspec.structs.replace(BODY, selectors=(Selector("tag", "x"), selector))
    codec = RecordCodec("ns")
    data, mac = codec.encode("op", body)

    assert msgspec.msgpack.decode(data, type=FirstBody).selectors == (Selector("tag", "x"), wider)
    assert codec.decode("op", data, mac) == body


def test_a_backslash_of_the_first_release_stands_for_itself() -> None:
    """It escapes nothing there, so it must not escape anything here."""
    given = Selector("glob", r"c:\*")
    body = FirstBody(1, "n", "g", 1, 1, 0.0, (given, Selector("key", r"a\*")))
    read = RecordCodec("ns").decode("op", msgspec.msgpack.encode(body), b"")

    assert read.selectors == (Selector("glob", r"c:\\*"), Selector("key", r"a\*"))
    assert glob_matches(read.selectors[0].text, r"c:\windows")


def test_a_record_is_bounded_by_bytes() -> None:
    """What one operation drops and brings goes in parts, and all of it goes."""
    selectors = tuple(Selector("tag", f"{number:0128}") for number in range(5_000))
    updates = tuple(Update(f"k{number}", b"v" * 60_000, 5.0, ()) for number in range(5))
    operation = Operation("op", Born("g", 1, 1), selectors, updates, 0.0)
    parts = list(bodies("node", operation))

    assert tuple(chain.from_iterable(part.selectors for part in parts)) == selectors
    assert [update[0] for part in parts for update in part.updates] == [u.key for u in updates]
    assert max(len(RecordCodec("ns").encode("op", part)[0]) for part in parts) < 128 * 1024
