"""The position that a client carries: signed, bounded, and taken off the request."""

import pytest

from asgi_multitier.asgi.read_your_writes import COOKIE, read_token, set_cookie, take_cookie, token
from asgi_multitier.entry import Born

SECRET = b"0123456789abcdef"
HERE = Born("a" * 32, 7)


def test_a_token_gives_back_its_position() -> None:
    """Generation and number survive; the fence is a node's own affair."""
    assert read_token(token(HERE, SECRET), SECRET) == HERE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "..",
        token(HERE, b"another secret..").replace("a", "b", 1),
        token(HERE, b"another secret.."),
        token(HERE, SECRET).replace(".7.", ".8."),
        token(HERE, SECRET) + "é",
    ],
    ids=["empty", "junk", "dots", "changed", "other-secret", "raised", "not-ascii"],
)
def test_a_token_that_we_did_not_sign_is_none(value: str) -> None:
    """Nobody can make an instance wait for a position of his choice."""
    assert read_token(value, SECRET) is None


def test_the_cookie_is_taken_off_and_others_stay() -> None:
    """The application sees its own cookies, in their order."""
    line = f"a=1; {COOKIE}=x.y; b=2".encode()

    headers, value = take_cookie([(b"host", b"h"), (b"cookie", line)])

    assert value == "x.y"
    assert headers == [(b"host", b"h"), (b"cookie", b"a=1; b=2")]


def test_a_request_with_that_cookie_alone_carries_none() -> None:
    """Then nothing keeps it from the cache."""
    headers, value = take_cookie([(b"cookie", f"{COOKIE}=x".encode())])

    assert (headers, value) == ([], "x")


@pytest.mark.parametrize(("secure", "expected"), [(True, True), (False, False)])
def test_the_cookie_is_for_the_server_only(secure: bool, expected: bool) -> None:
    """No script reads it, and over https it stays there."""
    name, line = set_cookie(HERE, SECRET, secure=secure)

    assert name == b"set-cookie"
    assert b"HttpOnly; SameSite=Lax" in line
    assert (b"Secure" in line) is expected
