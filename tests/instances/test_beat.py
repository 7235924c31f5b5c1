"""A beat as bytes: read by other releases, bounded, and signed."""

from math import inf, nan

import msgspec
import pytest

from asgi_multitier.coherence.beats import MAX_BEAT, StoredBeat
from asgi_multitier.instances.beat import Beat, BeatCodec

SECRET = b"at least sixteen bytes"
FULL = Beat(
    node="a" * 16,
    host="web-1",
    pid=12,
    application="shop.main",
    release="1.4",
    version="0.1.0",
    started=1000.5,
    gen="g" * 32,
    seq=53,
    queued=1,
    requests=10,
    hits=7,
    misses=2,
    l1_entries=3,
    l1_bytes=4,
    l1_limit=5,
    breakers={"redis": "open"},
    url="http://10.0.0.7:8000/_cache",
)


def read(codec: BeatCodec, data: bytes, mac: bytes) -> Beat | None:
    """A beat, as one that hears it reads it."""
    [heard] = codec.heard([StoredBeat((1, 0), 1.0, data, mac)])
    return heard.beat


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("beat", [FULL, Beat(node="b")])
def test_what_is_told_is_heard(beat: Beat, secret: bytes | None) -> None:
    """Every field, and those that were left out."""
    codec = BeatCodec("shop", secret)

    assert read(codec, *codec.encode(beat)) == beat


def signed(codec: BeatCodec, content: object) -> tuple[bytes, bytes]:
    """Any content with a MAC that fits."""
    data = msgspec.msgpack.encode(content)
    return data, codec._mac(data)


READ = (
    ("a field of a newer release", {"node": "a", "mood": "fine"}, True),
    ("nothing but the node", {"node": "a"}, True),
    ("no node", {"host": "web-1"}, False),
    ("an empty node", {"node": ""}, False),
    ("a long node", {"node": "a" * 65}, False),
    ("a long host", {"node": "a", "host": "h" * 256}, False),
    ("a negative count", {"node": "a", "requests": -1}, False),
    ("a text for a number", {"node": "a", "seq": "1"}, False),
    ("too many breakers", {"node": "a", "breakers": {str(n): "open" for n in range(17)}}, False),
    ("a list", ["a"], False),
    ("no number", {"node": "a", "lag": nan}, False),
    ("an infinite number", {"node": "a", "clock_offset": -inf}, False),
    ("a time without end", {"node": "a", "started": inf}, False),
)


@pytest.mark.parametrize(
    ("content", "is_read"), [row[1:] for row in READ], ids=[r[0] for r in READ]
)
def test_what_is_read(content: object, is_read: bool) -> None:
    """Fields that are not known are ignored; what does not fit is no beat."""
    codec = BeatCodec("shop")

    assert (read(codec, *signed(codec, content)) is not None) is is_read


def test_a_name_that_is_no_text_is_not_read() -> None:
    """Its bytes are no UTF-8, and it was signed all the same."""
    codec = BeatCodec("shop")
    data = b"\x81\xa4node\xa2\xff\xff"

    assert read(codec, data, codec._mac(data)) is None


OTHERS = (
    ("another secret", BeatCodec("shop", b"another secret of 16 bytes")),
    ("no secret", BeatCodec("shop")),
    ("another namespace", BeatCodec("bank", SECRET)),
)


@pytest.mark.parametrize("other", [row[1] for row in OTHERS], ids=[row[0] for row in OTHERS])
def test_what_others_sign_is_not_read(other: BeatCodec) -> None:
    """In both directions."""
    ours = BeatCodec("shop", SECRET)

    assert read(ours, *other.encode(FULL)) is None
    assert read(other, *ours.encode(FULL)) is None


def test_what_is_damaged_is_not_read() -> None:
    """One flipped bit anywhere."""
    codec = BeatCodec("shop")
    data, mac = codec.encode(FULL)

    for at in range(len(data)):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert read(codec, flipped, mac) is None


def test_the_longest_beat_fits() -> None:
    """A store refuses longer ones, and none is made."""
    name = "ü" * 255
    longest = dict.fromkeys(("host", "application", "release", "version", "url"), name)
    breakers = {f"{'t' * 62}{number:02d}": "half-open" for number in range(16)}
    data, _ = BeatCodec("shop").encode(Beat(node="a" * 64, breakers=breakers, **longest))

    assert len(data) <= MAX_BEAT
