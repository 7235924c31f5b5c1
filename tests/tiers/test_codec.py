"""Entries as bytes: nothing lost, nothing longer lived, and nothing believed that should not be."""

import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from asgi_multitier.entry import Born, Entry, Reuse, StoredResponse, Variants
from asgi_multitier.errors import ConfigError, SerializationError
from asgi_multitier.tiers import codec
from asgi_multitier.tiers.codec import (
    BORN_GEN,
    BORN_SEQ,
    MAX_METADATA,
    check_compression,
    decode,
    encode,
)
from asgi_multitier.tiers.metadata import Unreadable

DATA = Path(__file__).parent / "data"
GEN = "0123456789abcdef0123456789abcdef"
SECRET = b"a secret of more than 16 bytes"
NOW = 5_000.0
WALL = 1_700_000_000.0
MIB = 1024 * 1024

RESPONSE = StoredResponse(
    status=200,
    headers=(
        (b"content-type", b"application/json"),
        (b"link", b"</a>; rel=next"),
        (b"link", b"</b>; rel=prev"),
        (b"x-latin", b"caf\xe9\t"),
        (b"etag", b'"v1"'),
        (b"x-empty", b""),
    ),
    body=b'{"id":1,"name":"lamp"}' * 40,
    etag=b'"v1"',
    last_modified=b"Tue, 14 Nov 2023 22:13:20 GMT",
)
ENTRY = Entry(
    key="GET https://example.org/products/1?lang=en",
    payload=RESPONSE,
    born=Born(GEN, 77, 3),
    created=NOW - 20,
    fresh_until=NOW + 100,
    keep_until=NOW + 160,
    filled_at=NOW - 5,
    reuse=Reuse(
        stale_while_revalidate=30.0,
        stale_if_error=60.0,
        always_validate=True,
        stale_allowed=False,
        immutable=True,
    ),
    refresh_at=NOW + 80,
    path="/products/1",
    route="product",
    name="named",
    tags=("product:1", "products"),
)
VARIANTS = replace(ENTRY, payload=Variants((b"accept-language", b"accept-encoding")))
VALUE = replace(
    ENTRY,
    payload=b'j{"a":1}',
    reuse=replace(ENTRY.reuse, always_validate=False),
    refresh_at=math.inf,
)
EMPTY = replace(VALUE, payload=b"")
KINDS = {
    "response": ENTRY,
    "variants": VARIANTS,
    "value": VALUE,
    "empty-value": EMPTY,
    "response-of-a-version": replace(ENTRY, data_version=b"v" * 16),
    "value-of-a-version": replace(EMPTY, data_version=b"v"),
}


def written(entry: Entry = ENTRY, **options: Any) -> bytes:
    return encode(
        entry, **({"now": NOW, "wall": WALL, "namespace": "shop", "version": "7"} | options)
    )


def read(data: bytes, **options: Any) -> Entry | Unreadable:
    """Read where the clock says 100 s, of 160 s of life 160 are left."""
    given_options = {
        "key": ENTRY.key,
        "now": 100.0,
        "wall": WALL,
        "remaining": 160.0,
        "namespace": "shop",
        "version": "7",
        "max_size": MIB,
    }
    return decode(data, **(given_options | options))


def as_read(entry: Entry, elapsed: float = 0.0) -> Entry:
    """What must come out of `read` when so many seconds have passed since it was written."""
    shift = 100.0 - NOW - elapsed
    return replace(
        entry,
        born=replace(entry.born, fence=-1),
        created=entry.created + shift,
        fresh_until=entry.fresh_until + shift,
        keep_until=entry.keep_until + shift,
        filled_at=100.0,
        refresh_at=entry.refresh_at + shift,
    )


def found(result: Entry | Unreadable) -> Entry:
    assert isinstance(result, Entry), result
    return result


# What goes in comes out.


@pytest.mark.parametrize("secret", [None, SECRET, b"k" * 64, b"k" * 65], ids=str)
@pytest.mark.parametrize("compress_over", [None, 0], ids=["plain", "zstd"])
@pytest.mark.parametrize("entry", KINDS.values(), ids=KINDS)
def test_every_kind_comes_back_whole(
    entry: Entry, compress_over: int | None, secret: bytes | None
) -> None:
    """Field lines in order with duplicates, all bytes, all rules, in every way to write."""
    data = written(entry, compress_over=compress_over, secret=secret)

    assert read(data, secret=secret) == as_read(entry)


def test_entry_that_was_read_is_like_any_other() -> None:
    """Frozen, complete in every field, and equal to one that the constructor made."""
    entry = found(read(written()))

    assert type(entry) is Entry
    assert all(hasattr(entry, field.name) for field in fields(Entry))
    assert replace(entry) == entry
    with pytest.raises(AttributeError):
        entry.key = "other"  # type: ignore[misc]


def test_local_fence_does_not_travel() -> None:
    """It means nothing on another node."""
    assert found(read(written())).born == Born(GEN, 77, -1)


@pytest.mark.parametrize(
    ("gen", "seq"), [("", 0), (GEN, 0), ("f" * 32, 2**64 - 1)], ids=["none", "first", "last"]
)
def test_birth_stands_where_a_script_looks_for_it(gen: str, seq: int) -> None:
    """Two values compare by these bytes alone, whatever else was written."""
    data = written(replace(ENTRY, born=Born(gen, seq)), secret=SECRET, compress_over=0)

    assert data[BORN_GEN] == (bytes.fromhex(gen) or bytes(16))
    assert data[BORN_SEQ] == seq.to_bytes(8, "big")
    assert found(read(data, secret=SECRET)).born == Born(gen, seq)


# Times.


@pytest.mark.parametrize(
    ("remaining", "elapsed"),
    [(160.0, 0.0), (159.5, 0.5), (100.0, 60.0), (0.001, 159.999), (161.0, 0.0), (1e9, 0.0)],
    ids=["all", "a-little", "part", "almost-none", "more-than-written", "absurd"],
)
def test_times_follow_what_is_left(remaining: float, elapsed: float) -> None:
    """Age and ends move by what has passed; more than was given is not believed."""
    entry = found(read(written(), remaining=remaining, wall=WALL + elapsed))
    expected = as_read(ENTRY, elapsed)

    for name in ("created", "fresh_until", "keep_until", "refresh_at"):
        assert getattr(entry, name) == pytest.approx(getattr(expected, name), abs=1e-6), name
    assert entry.keep_until <= 100.0 + remaining + 1e-9


@pytest.mark.parametrize(
    ("wall", "elapsed"),
    [(WALL, 0.0), (WALL + 60, 60.0), (WALL - 60, 60.0)],
    ids=["now", "later", "clock-behind"],
)
def test_stamp_counts_where_the_tier_cannot_tell(wall: float, elapsed: float) -> None:
    """Clocks that disagree shorten the life, in either direction."""
    assert found(read(written(), remaining=None, wall=wall)) == as_read(ENTRY, elapsed)


@pytest.mark.parametrize(
    "options",
    [
        {"remaining": 0.0},
        {"remaining": -1.0},
        {"remaining": 1e-300},
        {"remaining": None, "wall": WALL + 160},
        {"remaining": None, "wall": WALL - 160},
    ],
    ids=[
        "nothing-left",
        "less-than-nothing",
        "as-good-as-nothing",
        "stamp-too-old",
        "stamp-too-new",
    ],
)
def test_what_is_over_is_not_read(options: dict[str, Any]) -> None:
    """Nothing left is a miss."""
    assert read(written(), **options) is Unreadable.EXPIRED


def test_age_grows_on_the_way() -> None:
    """RFC 9111 §4.2.3: the time in a tier is part of the age."""
    entry = found(read(written(), remaining=100.0))

    assert 100.0 - entry.created == pytest.approx(20 + 60)


def test_no_refresh_stays_no_refresh() -> None:
    """An infinite time is not shifted into a finite one."""
    assert found(read(written(VALUE), remaining=10.0)).refresh_at == math.inf


# What is not believed.


def patched(data: bytes, at: int, *new: int) -> bytes:
    return data[:at] + bytes(new) + data[at + len(new) :]


def summed(data: bytes) -> bytes:
    """The bytes with the checksum that belongs to them: damage, as a writer could have made it."""
    return data[:38] + struct.pack(">I", zlib.crc32(data[:38] + data[42:])) + data[42:]


def with_metadata(data: bytes, change: Callable[[list[Any]], None]) -> bytes:
    """The bytes with other metadata, lengths and checksum adjusted."""
    head, size = data[:30], struct.unpack(">I", data[30:34])[0]
    metadata = msgspec.msgpack.decode(data[42 : 42 + size])
    change(metadata)
    new = msgspec.msgpack.encode(metadata)
    return summed(head + struct.pack(">I", len(new)) + data[34:42] + new + data[42 + size :])


def put(index: int, value: object) -> Callable[[list[Any]], None]:
    return lambda metadata: metadata.__setitem__(index, value)


HEADERS, FIELDS = 19, 18
"""Places in the metadata of what only responses, or only variants, have."""

DAMAGED: dict[str, tuple[bytes, Unreadable]] = {
    "empty": (b"", Unreadable.LENGTH),
    "short-prefix": (written()[:37], Unreadable.LENGTH),
    "prefix-only": (written()[:38], Unreadable.LENGTH),
    "body-cut": (written()[:-1], Unreadable.LENGTH),
    "byte-too-many": (written() + b"x", Unreadable.LENGTH),
    "metadata-length": (patched(written(), 30, 255, 255, 255, 255), Unreadable.LENGTH),
    "body-length": (patched(written(), 34, 255, 255, 255, 255), Unreadable.LENGTH),
    "magic": (patched(written(), 0, 0), Unreadable.MAGIC),
    "older-format": (patched(written(), 4, 0), Unreadable.FORMAT),
    "newer-format": (patched(written(), 4, 3), Unreadable.FORMAT),
    "format without a checksum": (patched(written(), 4, 1), Unreadable.FORMAT),
    "unknown-flag": (patched(written(), 5, 32), Unreadable.FLAGS),
    "variants-of-a-version": (patched(written(VARIANTS), 5, 20), Unreadable.FLAGS),
    "version-missing": (summed(patched(written(), 5, 16)), Unreadable.CORRUPT),
    "version-empty": (
        with_metadata(written(KINDS["value-of-a-version"]), put(18, b"")),
        Unreadable.CORRUPT,
    ),
    "version-too-long": (
        with_metadata(written(KINDS["value-of-a-version"]), put(18, b"v" * 65)),
        Unreadable.CORRUPT,
    ),
    "unknown-kind": (patched(written(), 5, 12), Unreadable.FLAGS),
    "kind-of-another": (summed(patched(written(), 5, 8)), Unreadable.CORRUPT),
    "zstd-that-is-not": (summed(patched(written(), 5, 2)), Unreadable.CORRUPT),
    "metadata-garbage": (summed(patched(written(), 42, 0xC1)), Unreadable.CORRUPT),
    "metadata-not-text": (summed(patched(written(), 46, 0xFF, 0xFF)), Unreadable.CORRUPT),
    "checksum": (patched(written(), 38, written()[38] ^ 1), Unreadable.CHECKSUM),
    "stamp-not-a-number": (with_metadata(written(), put(4, math.nan)), Unreadable.CORRUPT),
    "one-field-more": (with_metadata(written(), lambda m: m.append(1)), Unreadable.CORRUPT),
    "one-field-less": (with_metadata(written(), lambda m: m.pop()), Unreadable.CORRUPT),
    "size-other": (with_metadata(written(), put(3, 1)), Unreadable.CORRUPT),
    "size-negative": (with_metadata(written(), put(3, -1)), Unreadable.CORRUPT),
    "age-not-a-number": (with_metadata(written(), put(5, math.nan)), Unreadable.CORRUPT),
    "fresh-for-ever": (with_metadata(written(), put(6, math.inf)), Unreadable.CORRUPT),
    "kept-for-ever": (with_metadata(written(), put(7, math.inf)), Unreadable.CORRUPT),
    "refresh-not-a-number": (with_metadata(written(), put(8, math.nan)), Unreadable.CORRUPT),
    "window-infinite": (with_metadata(written(), put(9, math.inf)), Unreadable.CORRUPT),
    "keeps-nothing": (with_metadata(written(), put(7, 0.0)), Unreadable.EXPIRED),
    "interim-status": (with_metadata(written(), put(18, 103)), Unreadable.CORRUPT),
    "status-four-digits": (with_metadata(written(), put(18, 1000)), Unreadable.CORRUPT),
    **{
        f"field-{name}": (with_metadata(written(), put(HEADERS, [line])), Unreadable.HEADERS)
        for name, line in {
            "value-cr": (b"a", b"x\ry"),
            "value-lf": (b"a", b"x\ny"),
            "value-nul": (b"a", b"x\0"),
            "value-del": (b"a", b"\x7f"),
            "value-control": (b"a", b"\x01"),
            "name-empty": (b"", b"x"),
            "name-space": (b"a b", b"x"),
            "name-colon": (b"a:", b"x"),
            "name-capital": (b"Age", b"x"),
            "name-lf": (b"a\n", b"x"),
            "name-latin": (b"caf\xe9", b"x"),
        }.items()
    },
    "field-of-three": (
        with_metadata(written(), put(HEADERS, [(b"a", b"b", b"c")])),
        Unreadable.CORRUPT,
    ),
    "vary-name-bad": (
        with_metadata(written(VARIANTS), put(FIELDS, [b"a\r\nb"])),
        Unreadable.HEADERS,
    ),
    "vary-name-empty": (
        with_metadata(written(VARIANTS), put(FIELDS, [b""])),
        Unreadable.HEADERS,
    ),
}


@pytest.mark.parametrize(("data", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_bytes_are_refused_with_a_reason(data: bytes, reason: Unreadable) -> None:
    """One row for each thing that can be wrong."""
    assert read(data) is reason


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"key": "GET https://example.org/products/2"}, Unreadable.KEY),
        ({"namespace": "shop2"}, Unreadable.NAMESPACE),
        ({"version": "8"}, Unreadable.VERSION),
        ({"max_size": len(RESPONSE.body) - 1}, Unreadable.OVERSIZED),
    ],
    ids=["key", "namespace", "version", "size"],
)
@pytest.mark.parametrize("secret", [None, SECRET], ids=["plain", "mac"])
def test_anothers_entry_is_refused(
    options: dict[str, Any], reason: Unreadable, secret: bytes | None
) -> None:
    """What was written for another key, application or release, or is larger than allowed."""
    assert read(written(secret=secret), secret=secret, **options) is reason


def test_oversized_body_is_refused_before_anything_is_parsed() -> None:
    """Nobody computes over bytes that will not be used."""
    data = patched(written(), 42, 0xC1)

    assert read(data, max_size=len(RESPONSE.body) - 1) is Unreadable.OVERSIZED


def test_body_of_just_the_allowed_size_is_read() -> None:
    """The bound itself is allowed."""
    assert isinstance(read(written(), max_size=len(RESPONSE.body)), Entry)


def test_header_block_may_be_empty() -> None:
    """A response without field lines is one."""
    entry = replace(ENTRY, payload=replace(RESPONSE, headers=()))

    assert found(read(written(entry))).payload == entry.payload


# The checksum and the MAC.


@pytest.mark.parametrize("secret", [None, SECRET], ids=["checksum", "mac"])
@pytest.mark.parametrize("compress_over", [None, 0], ids=["plain", "zstd"])
@pytest.mark.parametrize("entry", KINDS.values(), ids=KINDS)
def test_no_bit_can_be_changed(
    entry: Entry, compress_over: int | None, secret: bytes | None
) -> None:
    """A change of any bit is noticed, and nothing is read from it."""
    data = written(entry, secret=secret, compress_over=compress_over)

    for at in range(8 * len(data)):
        byte, bit = divmod(at, 8)
        changed = patched(data, byte, data[byte] ^ (1 << bit))
        assert isinstance(read(changed, secret=secret), Unreadable), at


@pytest.mark.parametrize(
    ("passed", "left"),
    [
        pytest.param(0.0, 160.0, id="at once"),
        pytest.param(4.0, 160.0, id="clocks a little apart"),
        pytest.param(5.0, 160.0, id="clocks as far apart as allowed"),
        pytest.param(15.0, 150.0, id="clocks further apart, or put back"),
        pytest.param(-15.0, 150.0, id="written in the future"),
        pytest.param(164.0, 1.0, id="just before the end"),
        pytest.param(165.0, None, id="put back after its life"),
        pytest.param(-165.0, None, id="a clock of another day"),
        pytest.param(3600.0, None, id="put back an hour later"),
    ],
)
@pytest.mark.parametrize("secret", [None, SECRET], ids=["checksum", "mac"])
def test_what_is_put_back_does_not_live_again(
    passed: float, left: float | None, secret: bytes | None
) -> None:
    """Whatever a tier says is left: the writer's clock counts too."""
    got = read(written(secret=secret), secret=secret, wall=WALL + passed, remaining=160.0)

    if left is None:
        assert got is Unreadable.EXPIRED
        return
    entry = found(got)
    assert entry.keep_until == pytest.approx(100.0 + left)
    assert entry.fresh_until == pytest.approx(100.0 + left - 60.0)


def test_a_short_life_is_not_prolonged_by_more_than_its_tenth() -> None:
    """What clocks may differ by is little against what is kept for seconds."""
    brief = replace(ENTRY, keep_until=NOW + 10, fresh_until=NOW + 10)
    data = written(brief)

    assert isinstance(read(data, wall=WALL + 10.9, remaining=10.0), Entry)
    assert read(data, wall=WALL + 11.1, remaining=10.0) is Unreadable.EXPIRED


@pytest.mark.parametrize(
    ("data", "secret"),
    [
        (written(), SECRET),
        (written(secret=SECRET), None),
        (written(secret=SECRET), SECRET + b"!"),
        (written(secret=b"k" * 65), b"k" * 66),
        (patched(written(secret=SECRET), 5, 0), SECRET),
        (patched(written(), 5, 1), SECRET),
    ],
    ids=["none-written", "none-expected", "other", "other-long", "flag-removed", "flag-added"],
)
def test_secret_must_be_the_same(data: bytes, secret: bytes | None) -> None:
    """Whether there must be a MAC is the reader's setting, not the data's."""
    assert read(data, secret=secret) in (Unreadable.MAC, Unreadable.LENGTH)
    assert not isinstance(read(data, secret=secret), Entry)


def test_mac_is_asked_for_before_anything_is_parsed() -> None:
    """Garbage without a good MAC never reaches a parser."""
    data = patched(written(secret=SECRET), 54, 0xC1)

    assert read(data, secret=SECRET) is Unreadable.MAC


@pytest.mark.parametrize("secret", [b"", b"fifteen bytes!!"], ids=["empty", "short"])
def test_short_secret_is_an_error_of_configuration(secret: bytes) -> None:
    """It would be no secret; neither side goes on with it."""
    with pytest.raises(ConfigError, match="at least 16 bytes"):
        written(secret=secret)
    with pytest.raises(ConfigError, match="at least 16 bytes"):
        read(written(secret=SECRET), secret=secret)


# Compression.


def test_body_is_compressed_from_the_size_given() -> None:
    """At the size, not below it; and only where it helps."""
    size = len(RESPONSE.body)

    assert len(written(compress_over=size)) < len(written()) - size / 2
    assert written(compress_over=size + 1) == written()
    incompressible = replace(ENTRY, payload=bytes(range(256)))
    assert written(incompressible, compress_over=0) == written(incompressible)


def bomb(claimed: int, real: int) -> bytes:
    """An entry whose compressed body says it has one size and has another."""
    frame = zstandard.ZstdCompressor().compress(bytes(real))
    data = with_metadata(written(EMPTY), put(3, claimed))
    data = patched(data, 5, 8 | 2)
    return summed(data[:34] + struct.pack(">I", len(frame)) + data[38:] + frame)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bomb(2 * MIB, 2 * MIB), Unreadable.OVERSIZED),
        (bomb(100, 64 * MIB), Unreadable.CORRUPT),
        (bomb(64 * 1024, 100), Unreadable.CORRUPT),
    ],
    ids=["too-large", "lies-small", "lies-large"],
)
def test_decompression_is_bounded(data: bytes, reason: Unreadable) -> None:
    """A body that would inflate beyond the bound is refused before it does."""
    assert read(data) is reason


def test_frame_of_unknown_size_is_refused() -> None:
    """We always write the size; a frame without it is not ours and has no bound."""
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1_000))
    data = patched(with_metadata(written(EMPTY), put(3, 1_000)), 5, 8 | 2)
    data = summed(data[:34] + struct.pack(">I", len(frame)) + data[38:] + frame)

    assert read(data) is Unreadable.CORRUPT


def test_bytes_after_the_frame_are_refused() -> None:
    """Nothing hides behind the compressed body."""
    data = written(compress_over=0)
    size = struct.unpack(">I", data[34:38])[0]
    longer = data[:34] + struct.pack(">I", size + 1) + data[38:] + b"x"

    assert read(summed(longer)) is Unreadable.CORRUPT


def test_broken_frame_is_refused() -> None:
    """A compressed body that is damaged in the middle is a miss."""
    data = written(compress_over=0)

    assert read(summed(patched(data, len(data) - 6, *bytes(6)))) is Unreadable.CORRUPT


def test_without_zstandard_compressed_entries_are_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may compress; who cannot read it asks the origin. To write it is refused by name."""
    data = written(compress_over=0)
    monkeypatch.setattr(codec, "_zstandard", lambda: None)

    assert read(data) is Unreadable.COMPRESSION
    for write in (lambda: written(compress_over=0), lambda: check_compression(0)):
        with pytest.raises(ConfigError, match=r"asgi-multitier\[compression\]"):
            write()
    check_compression(None)


@pytest.mark.parametrize("setting", [-1, 1.5, True, "1"], ids=repr)
def test_setting_of_compression_is_checked(setting: object) -> None:
    """Zero and sizes in bytes are taken; the error names the option."""
    check_compression(0)
    with pytest.raises(ConfigError, match="compress_over="):
        check_compression(setting)


# What cannot be written.


@pytest.mark.parametrize(
    "change",
    [
        {"born": Born("not hex", 1)},
        {"born": Born(GEN.upper(), 1)},
        {"born": Born(GEN[:-1], 1)},
        {"born": Born(GEN, -1)},
        {"born": Born(GEN, 2**64)},
        {"created": -math.inf},
        {"fresh_until": math.nan},
        {"keep_until": math.inf},
        {"reuse": Reuse(stale_if_error=math.inf)},
        {"refresh_at": math.nan},
        {"key": "\ud800"},
        {"tags": ("t" * MAX_METADATA,)},
    ],
    ids=lambda change: "-".join(change) + "-" + str(next(iter(change.values())))[:24],
)
def test_entry_that_could_not_be_read_is_not_written(change: dict[str, Any]) -> None:
    """The error says what is wrong with it."""
    with pytest.raises(SerializationError, match="cannot be written"):
        written(replace(ENTRY, **change))


def test_too_much_metadata_is_not_read() -> None:
    """The bound of the writer is the reader's too."""
    data = with_metadata(written(), put(17, ["t" * MAX_METADATA]))

    assert read(data) is Unreadable.OVERSIZED


# The format itself.

GOLDEN = {
    "entry-2-response.bin": (ENTRY, {}),
    "entry-2-variants.bin": (VARIANTS, {}),
    "entry-2-value-mac.bin": (VALUE, {"secret": SECRET}),
}


@pytest.mark.parametrize(("name", "entry", "options"), [(k, *v) for k, v in GOLDEN.items()])
def test_format_2_stays_as_it_is(name: str, entry: Entry, options: dict[str, Any]) -> None:
    """Files written by the first version of this format; a change of layout needs a new number."""
    data = (DATA / name).read_bytes()

    assert written(entry, **options) == data
    assert read(data, **options) == as_read(entry)


def test_compressed_format_2_stays_readable() -> None:
    """Another zstd may write other bytes, but must read these."""
    data = (DATA / "entry-2-response-zstd.bin").read_bytes()

    assert read(data) == as_read(ENTRY)


def test_format_1_stays_readable_where_it_can_be_checked() -> None:
    """It had a MAC or nothing; what nothing was known of is a miss, and is filled again."""
    signed = (DATA / "entry-1-value-mac.bin").read_bytes()

    assert read(signed, secret=SECRET) == as_read(VALUE)
    for name in ("response", "variants", "response-zstd"):
        data = (DATA / f"entry-1-{name}.bin").read_bytes()
        assert read(data) is Unreadable.FORMAT


# Whatever comes.

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
seconds = st.floats(-1e6, 1e6)
names = st.text("abc-xyz!#09", min_size=1, max_size=8).map(str.encode)
lines = st.tuples(names, st.text("\t ~azÿ", max_size=12).map(lambda t: t.encode("latin-1")))
maybe = st.none() | st.binary(max_size=8)
responses = st.builds(
    StoredResponse,
    st.integers(200, 999),
    st.lists(lines, max_size=6).map(tuple),
    st.binary(max_size=300),
    maybe,
    maybe,
)
payloads = responses | st.builds(Variants, st.lists(names).map(tuple)) | st.binary(max_size=300)


@settings(max_examples=200, deadline=None)
@given(
    payloads,
    st.tuples(texts, texts, texts, texts),
    st.tuples(seconds, seconds, st.floats(0.5, 1e6), seconds, seconds, seconds),
    st.lists(texts, max_size=4),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.none() | st.just(SECRET),
    st.none() | st.integers(0, 300),
)
def test_any_entry_comes_back(
    payload: Any,
    labels: tuple[str, str, str, str],
    times: tuple[float, ...],
    tags: list[str],
    rules: tuple[bool, bool, bool],
    secret: bytes | None,
    compress_over: int | None,
) -> None:
    """Everything that can be written is read as it was, its times but for rounding."""
    key, path, route, name = labels
    always_validate, stale_allowed, immutable = rules
    entry = Entry(
        key=key,
        payload=payload,
        born=Born(GEN, 5),
        created=NOW - times[0],
        fresh_until=NOW + times[1],
        keep_until=NOW + times[2],
        filled_at=0.0,
        reuse=Reuse(
            stale_while_revalidate=times[3],
            stale_if_error=times[4],
            always_validate=always_validate,
            stale_allowed=stale_allowed,
            immutable=immutable,
        ),
        refresh_at=NOW + times[5],
        path=path,
        route=route,
        name=name,
        tags=tuple(tags),
    )
    data = written(entry, secret=secret, compress_over=compress_over)
    got = found(read(data, key=key, secret=secret, remaining=times[2]))
    expected = as_read(entry)

    for field in fields(Entry):
        value, want = getattr(got, field.name), getattr(expected, field.name)
        if isinstance(want, float):
            want = pytest.approx(want, abs=1e-6)
        assert value == want, field.name


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=120), st.booleans())
@example(b"amt1\x01", False)
@example(b"amt1\x01\x00" + bytes(28) + b"\0\0\7\xd0\0\0\0\0" + b"\x91" * 2_000, False)
def test_any_bytes_are_answered(data: bytes, behind_a_prefix: bool) -> None:
    """No input raises: it is an entry or a reason."""
    if behind_a_prefix:
        data = summed(written()[:30] + struct.pack(">II", len(data), 0) + bytes(4) + data)
    assert isinstance(read(data), Unreadable)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([written(entry, compress_over=0) for entry in KINDS.values()]),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_any_damage_is_answered(data: bytes, changes: list[tuple[int, int]]) -> None:
    """No damage raises; what still reads has lines that may be sent, and an end in time."""
    for at, byte in changes:
        data = patched(data, at % len(data), byte)
    entry = read(summed(data))
    if isinstance(entry, Entry):
        assert 100.0 < entry.keep_until <= 260.0
        assert entry.key == ENTRY.key
        if isinstance(entry.payload, StoredResponse):
            block = b"".join(name + value for name, value in entry.payload.headers)
            assert not {0, 10, 13} & set(block)
