"""Records of the log as bytes: MessagePack, with a MAC if a secret is set, else a checksum.

The MAC covers what the writer knows: namespace, operation id and body. The server assigns the
position. An attacker that can write to the server can therefore replay a record, which drops what
it dropped before and no more: a value in it counts only if nothing has selected its key since the
position at which it was begun. The checksum covers the same: a record with a flipped bit would drop
something else. A record without either was written by an older release.
"""

import hmac
import zlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from ..errors import SerializationError
from ..selectors import Selector, beginning
from ..selectors.patterns import symbols
from .log import MAX_RIDE, Operation, Update

MAX_BODY = 1024 * 1024
"""Bytes of a record's body; a longer one is not decoded."""

_CHUNK_ITEMS = 1_000
_CHUNK_BYTES = 64 * 1024
_MAC_LENGTH = 16


class _FirstRelease(msgspec.Struct, array_like=True, frozen=True):
    """The content of a record, as the first release reads it.

    Attributes:
        version: Of the format; a record of an unknown version drops everything.
        node: The writer's random id.
        gen, seq, fence: The position at which it was begun. The record covers what its writer had
            begun on these selectors up to the fence; its values are younger than record `seq`.
        settle: Seconds for which fills that are selected are not kept.
        selectors: What is dropped.
        updates: Key, encoded entry (or None), seconds left and tags of each new value.
    """

    version: Literal[1]
    node: str
    gen: str
    seq: int
    fence: int
    settle: float
    selectors: tuple[Selector, ...]
    updates: tuple[tuple[str, bytes | None, float, tuple[str, ...]], ...] = ()


class Body(_FirstRelease, array_like=True, frozen=True):
    """The content of a record.

    Attributes:
        sent: Unix seconds by its writer's clock at which it was written; None from an older
            release.
    """

    sent: float | None = None


class _Written(_FirstRelease, array_like=True, frozen=True):
    """A body as written, in a form that every release can read.

    The first release knows neither escapes in patterns nor digests of long texts, and reads the
    selectors literally. So they are wider where it would otherwise drop too little; newer releases
    replace them by the exact ones.

    Attributes:
        exact: The exact selectors, by their numbers in `selectors`; None in a body of the first
            release.
        sent: See `Body`.
    """

    exact: tuple[tuple[int, Selector], ...] | None = None
    sent: float | None = None


class Record(msgspec.Struct, frozen=True):
    """One record as read.

    Attributes:
        seq: Its number.
        gen: The generation it was written in.
        prev: Id of the operation before it, "" if it begins a generation.
        op: Id of its operation.
        body: Its content; None if it is unreadable.
    """

    seq: int
    gen: str
    prev: str
    op: str
    body: Body | None


BEGINNING = Body(1, "", "", 0, 0, 0.0, ())
"""The first record of a generation, written by the server's script: it drops nothing."""


class RecordCodec:
    """Turns bodies into bytes and back.

    Args:
        namespace: Covered by the MAC, so that records cannot be moved between applications.
        secret: Key of the MAC; None for a checksum.
    """

    __slots__ = ("_context", "_decoder", "_encoder", "_secret")

    def __init__(self, namespace: str, secret: bytes | None = None) -> None:
        self._context = f"log:{len(namespace)}:{namespace}:".encode()
        self._secret = secret
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Written)

    def encode(self, op: str, body: Body) -> tuple[bytes, bytes]:
        """The body's bytes, and its MAC or, without a secret, its checksum."""
        data = self._encoder.encode(_written(body))
        return data, self._mac(op, data)

    def decode(self, op: str, data: bytes, mac: bytes) -> Body:
        """The body.

        Raises:
            SerializationError: If it is too long, not authentic, or not a body of a known version.
        """
        if not data and op.startswith("gen:"):
            return BEGINNING
        if len(data) > MAX_BODY:
            raise SerializationError(f"record of {len(data)} bytes is longer than {MAX_BODY}")
        if self._secret is not None and not hmac.compare_digest(mac, self._mac(op, data)):
            raise SerializationError("record is not authentic")
        if self._secret is None and mac and len(mac) != _MAC_LENGTH and mac != self._mac(op, data):
            raise SerializationError("record is damaged")
        try:
            return _read(self._decoder.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SerializationError(f"record is unreadable: {error}") from None

    def _mac(self, op: str, data: bytes) -> bytes:
        text = self._context + f"{len(op)}:{op}:".encode() + data
        if self._secret is None:
            return zlib.crc32(text).to_bytes(4, "big")
        return hmac.digest(self._secret, text, "sha256")[:_MAC_LENGTH]


def _written(body: Body) -> _Written:
    wide = tuple(map(_for_all_releases, body.selectors))
    pairs = enumerate(zip(body.selectors, wide, strict=True))
    exact = tuple((number, ours) for number, (ours, theirs) in pairs if ours != theirs)
    fields = msgspec.structs.asdict(body) | {"selectors": wide, "exact": exact}
    return _Written(**fields)


def _read(written: _Written) -> Body:
    selectors = list(written.selectors)
    if written.exact is None:
        selectors = [_of_first_release(selector) for selector in selectors]
    for number, exact in written.exact or ():
        if number < len(selectors):
            selectors[number] = exact
    fields = msgspec.structs.asdict(written) | {"selectors": tuple(selectors)}
    del fields["exact"]
    return Body(**fields)


def _for_all_releases(selector: Selector) -> Selector:
    """The selector, or a wider one where the first release would misread it."""
    kind, text = selector
    if kind == "glob":
        wide = ("?" if len(symbol) == 2 else symbol for symbol in symbols(text))
        return Selector("glob", "".join(wide)) if "\\" in text else selector
    head = beginning(text)
    if head is None:
        return selector
    if kind == "prefix":
        return Selector("prefix", head.rpartition("/")[0])
    if kind in ("key", "path"):
        return Selector("glob", head.replace("*", "?") + "*")
    return Selector("all", "")


def _of_first_release(selector: Selector) -> Selector:
    """A pattern of the first release, in which a backslash was literal."""
    if selector.kind != "glob" or "\\" not in selector.text:
        return selector
    return Selector("glob", selector.text.replace("\\", "\\\\"))


def bodies(node: str, operation: Operation, sent: float | None = None) -> Iterator[Body]:
    """The bodies of an operation's records, each of a bounded size; usually one.

    Args:
        node: The writer's random id.
        operation: The operation.
        sent: Unix seconds now.
    """
    kept: list[Selector] = []
    values: list[tuple[str, bytes | None, float, tuple[str, ...]]] = []
    size = 0

    def body() -> Body:
        gen, seq, fence = operation.born.gen, operation.born.seq, operation.fence
        return Body(1, node, gen, seq, fence, operation.settle, tuple(kept), tuple(values), sent)

    items: list[Selector | Update] = [*operation.selectors, *operation.updates]
    for item in items:
        cost = _cost(item)
        if len(kept) + len(values) >= _CHUNK_ITEMS or (size and size + cost > _CHUNK_BYTES):
            yield body()
            kept, values, size = [], [], 0
        if isinstance(item, Selector):
            kept.append(item)
        else:
            values.append((item.key, item.value, item.ttl, item.tags))
        size += cost
    yield body()


def _cost(item: Selector | Update) -> int:
    """Its approximate bytes."""
    texts = (item.text,) if isinstance(item, Selector) else (item.key, *item.tags)
    value = 0 if isinstance(item, Selector) else len(item.value or b"")
    return value + sum(8 + len(text.encode()) for text in texts)


def riding(update: Update) -> Update:
    """The update, without its value if that is too large for the log."""
    if update.value is None or len(update.value) <= MAX_RIDE:
        return update
    return Update(update.key, None, update.ttl, update.tags)
