"""Which responses a server writes as they stand, and which requests keep their connection."""

import pytest

from asgi_multitier.policy.framing import is_simply_framed, keeps_connection

TYPE = (b"content-type", b"text/plain")


def length(value: bytes) -> tuple[bytes, bytes]:
    """A `Content-Length`."""
    return (b"content-length", value)


@pytest.mark.parametrize(
    ("status", "lines", "size", "expected"),
    [
        (200, [TYPE, length(b"5")], 5, True),
        (200, [TYPE, (b"Content-Length", b"5")], 5, True),
        (404, [length(b"0")], 0, True),
        (200, [TYPE], 5, False),
        (200, [length(b"4")], 5, False),
        (200, [length(b"05")], 5, False),
        (200, [length(b"5"), length(b"5")], 5, False),
        (200, [length(b"5, 5")], 5, False),
        (200, [(b"transfer-encoding", b"chunked")], 5, False),
        (200, [length(b"5"), (b"Transfer-Encoding", b"chunked")], 5, False),
        (200, [length(b"5"), (b"connection", b"close")], 5, False),
        (200, [length(b"5"), (b"upgrade", b"h2c")], 5, False),
        (204, [], 0, True),
        (204, [length(b"0")], 0, False),
        (304, [TYPE], 0, True),
        (304, [length(b"5")], 0, False),
        (304, [], 5, False),
        (100, [length(b"0")], 0, False),
        (200, [length(b"5"), (b"x", b"")], 5, True),
        (200, [length(b"5"), (b"x", b"a\tb \xe9")], 5, True),
        (200, [length(b"5"), (b"x", b"a ")], 5, False),
        (200, [length(b"5"), (b"x", b"\ta")], 5, False),
        (200, [length(b"5"), (b"x", b"a\r\nb: c")], 5, False),
        (200, [length(b"5"), (b"x", b"a\x00")], 5, False),
        (200, [length(b"5"), (b"x y", b"a")], 5, False),
        (200, [length(b"5"), (b"", b"a")], 5, False),
    ],
)
def test_responses(
    status: int, lines: list[tuple[bytes, bytes]], size: int, expected: bool
) -> None:
    """RFC 9112 §6.3: one length that is right, or no content at all; nothing else that matters."""
    assert is_simply_framed(status, lines, size) is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], True),
        ([TYPE], True),
        ([(b"connection", b"keep-alive")], True),
        ([(b"connection", b"Keep-Alive")], True),
        ([(b"connection", b"close")], False),
        ([(b"connection", b"keep-alive, close")], False),
        ([(b"connection", b"keep-alive"), (b"connection", b"close")], False),
        ([(b"connection", b"upgrade")], False),
        ([(b"connection", b"")], False),
    ],
)
def test_requests(lines: list[tuple[bytes, bytes]], expected: bool) -> None:
    """RFC 9112 §9.3: what is more than `keep-alive` is for the server itself."""
    assert keeps_connection(lines) is expected
