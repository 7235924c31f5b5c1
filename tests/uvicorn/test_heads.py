"""Heads are those of uvicorn's own, built again when something in them changes, within bounds."""

import pytest

from asgi_multitier import uvicorn as ours
from asgi_multitier.asgi.replay import Prepared
from asgi_multitier.uvicorn.heads import Heads

SERVER = [(b"server", b"uvicorn")]
AGE, STATUS = (b"age", b"1"), (b"cache-status", b"asgi-multitier; hit")


def prepared(*lines: tuple[bytes, bytes], status: int = 200, body: bytes = b"abc") -> Prepared:
    """A response with these lines."""
    length = (b"content-length", b"%d" % len(body))
    return Prepared(status, [length, *lines, AGE, STATUS], body)


def head(one: Prepared, heads: Heads | None = None) -> bytes | None:
    """The head of one response."""
    return (heads or Heads(10_000)).head_of(one, SERVER)


def test_the_lines_come_in_order() -> None:
    """Those of the server first."""
    assert head(prepared((b"X-Item", b"1"))) == (
        b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-length: 3\r\nx-item: 1\r\n"
        b"age: 1\r\ncache-status: asgi-multitier; hit\r\n\r\n"
    )


@pytest.mark.parametrize(("status", "line"), [(404, b"404 Not Found"), (299, b"299 ")])
def test_the_status_line(status: int, line: bytes) -> None:
    """With the phrase that is known, or none."""
    assert (head(prepared(status=status)) or b"").startswith(b"HTTP/1.1 " + line + b"\r\n")


def test_what_changes_is_written_again() -> None:
    """The ends, the body's length, the status and any line between, also under one number."""
    heads, one = Heads(10_000), prepared((b"x", b"1"))
    seen = {head(one, heads)}
    one.lines = [*one.lines[:-2], (b"age", b"2"), STATUS]
    seen.add(head(one, heads))
    one.lines = [one.lines[0], (b"x", b"2"), *one.lines[-2:]]
    seen.add(head(one, heads))
    one.status = 404
    seen.add(head(one, heads))
    one.lines, one.body = [(b"content-length", b"0"), *one.lines[1:]], b""
    seen.add(head(one, heads))
    seen.add(heads.head_of(one, [(b"server", b"another")]))

    assert None not in seen
    assert len(seen) == 6
    assert heads.size == head_size(heads)


def head_size(heads: Heads) -> int:
    """What is accounted for, counted again."""
    return sum(400 + 3 * len(text) for *_, text in heads._texts.values())


def test_texts_are_bounded() -> None:
    """All are forgotten when they are too many."""
    heads = Heads(10_000)
    kept = [prepared((b"x", b"%d" % number)) for number in range(100)]
    for one in kept:
        assert head(one, heads) == head(one)
        assert heads.size == head_size(heads) <= 10_000


@pytest.mark.parametrize(
    "one",
    [
        prepared((b"connection", b"close")),
        prepared((b"transfer-encoding", b"chunked")),
        prepared((b"x", b"a\r\nb")),
        Prepared(200, [AGE, STATUS], b"abc"),
        Prepared(200, [(b"content-length", b"3"), AGE, (b"x", b"a\r\n")], b"abc"),
        Prepared(200, [(b"content-length", b"3"), AGE, (b"connection", b"close")], b"abc"),
    ],
)
def test_what_uvicorn_would_not_send_so(one: Prepared) -> None:
    """Left to uvicorn."""
    assert head(one) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", 204),
        ("body", b"longer"),
        ("lines", [(b"content-length", b"3"), AGE, (b"x", b"a\r\n")]),
    ],
)
def test_what_was_sent_before_is_checked_again(name: str, value: object) -> None:
    """Under the same number there may be another response, of which other lines are right."""
    heads, one = Heads(10_000), prepared()
    assert head(one, heads) is not None
    setattr(one, name, value)

    assert head(one, heads) is None


@pytest.mark.parametrize("line", [(b"connection", b"close"), (b"content-length", b"3")])
def test_lines_of_the_server_that_matter(line: tuple[bytes, bytes]) -> None:
    """Left to uvicorn as well."""
    assert Heads(10_000).head_of(prepared(), [line]) is None


def test_other_names_are_not_there() -> None:
    """The module has two protocols."""
    with pytest.raises(AttributeError, match="Zttp"):
        ours.Zttp  # noqa: B018
