"""The content of a request as a part of its key.

Two requests have the same key only if their content is the same to every application: equal bytes,
described by equal fields, such as `Content-Type` and `Content-Language` (RFC 10008 §2.7). Where a
rule says that its endpoint reads JSON, texts with equal meaning are equal too. What has more than
one meaning stays bytes: a name that stands twice in an object, a text that is not JSON or not
UTF-8, and what nests too deeply.
"""

import json
from collections.abc import Iterable
from itertools import chain
from operator import itemgetter
from typing import Any

from .._types import Header, Headers
from .key import Veil

WITH_CONTENT = frozenset(("POST", "QUERY"))
"""Methods whose responses may be stored for requests with the same content."""

_LENGTH = b"content-length"
_FRAMES = frozenset((_LENGTH, b"transfer-encoding", b"expect"))

_NUMBER = "\x00"
"""Before the text of a number, so that it is no string of the JSON text: none has this character
where the meaning counts."""


def content_part(
    method: str, headers: Headers, content: bytes, veil: Veil, *, by_meaning: bool
) -> bytes:
    """The method and the content of a request as a key part: the method, and 192 bits for the rest.

    Args:
        method: One of `WITH_CONTENT`.
        headers: The request's field lines, lower-case names.
        content: All of the content.
        veil: Makes a keyed digest of it.
        by_meaning: Whether two JSON texts that mean the same are the same.
    """
    described = [line for line in headers if _describes(line[0])]
    meaning = json_meaning(content) if by_meaning and _is_json(described) else None
    form, text = (b"bytes", content) if meaning is None else (b"json", meaning)
    # By name; the lines of one name stay in order, and an absent field differs from an empty one.
    described.sort(key=itemgetter(0))
    whole = _joined((*chain.from_iterable(described), form, text))
    return b"content:%b:%b" % (method.encode("ascii"), veil(whole))


def is_covered(name: bytes) -> bool:
    """Whether a request field counts with the content: it says what that is, or how it is sent.

    Args:
        name: Its lower-case name.
    """
    return name in _FRAMES or _describes(name)


def _describes(name: bytes) -> bool:
    """Whether a field is about the content (RFC 9110 §8); its length is seen in the content."""
    return name[:8] == b"content-" and name != _LENGTH


def _joined(parts: Iterable[bytes]) -> bytes:
    """The parts, each after its length, so that no two lists look like one."""
    return b"".join([b"%d:%b" % (len(part), part) for part in parts])


def _is_json(described: Iterable[Header]) -> bool:
    """Whether the content is declared as JSON in UTF-8 (RFC 8259 §8.1), and is not compressed."""
    kinds = [value for name, value in described if name == b"content-type"]
    if len(kinds) != 1 or any(name == b"content-encoding" for name, _ in described):
        return False
    kind, *parameters = (part.strip(b" \t").lower() for part in kinds[0].split(b";"))
    if kind != b"application/json" and not (kind[:12] == b"application/" and kind[-5:] == b"+json"):
        return False
    charsets = [part[8:].strip(b'"') for part in parameters if part.startswith(b"charset")]
    return all(charset == b"utf-8" for charset in charsets)


def json_meaning(content: bytes) -> bytes | None:
    """A text that is the same for all JSON texts of this meaning; None if there is none.

    Order of names, white space and escapes do not matter. Numbers are compared as they are written:
    `1`, `1.0` and `1e0` may be different values to an application, and none is rounded.
    """
    try:
        text = content.decode()
        if "\\u0000" in text:
            return None  # a string could look like a number
        # As text, no number is rounded, and none is too long to be read.
        value = json.loads(
            text,
            parse_int=_NUMBER.__add__,
            parse_float=_NUMBER.__add__,
            parse_constant=_refused,
            object_pairs_hook=_object,
        )
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
    except (ValueError, RecursionError):
        return None


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; parsers differ in which of two values of one name they take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
