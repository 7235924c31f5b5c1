"""Lines that responses have in common are one object; what differs stays as it is."""

import pytest

from asgi_multitier._types import Headers
from asgi_multitier.policy.shared_lines import shared


def lines(*texts: str) -> Headers:
    """Field lines of new objects, as a framework makes them."""
    pairs = (text.partition(": ") for text in texts)
    return tuple((name.encode(), value.encode()) for name, _, value in pairs)


SENT = (
    "content-type: application/json",
    "content-length: 949",
    "x-request-id: 1f",
    'etag: "a"',
    "link: <a>",
    "link: <b>",
    "x-" + "a" * 300 + ": long",
)


def test_nothing_is_changed() -> None:
    """Names, values, their order and duplicates."""
    assert shared(lines(*SENT)) == lines(*SENT)
    assert shared(()) == ()


@pytest.mark.parametrize("text", SENT[:2])
def test_equal_lines_are_one_object(text: str) -> None:
    """In as many entries as there are."""
    assert shared(lines(text))[0] is shared(lines(text))[0]


@pytest.mark.parametrize("text", SENT[2:5])
def test_of_a_value_of_its_own_only_the_name_is_shared(text: str) -> None:
    """It would push out what is shared."""
    (one,), (two,) = shared(lines(text)), shared(lines(text))

    assert one[0] is two[0]
    assert one[1] is not two[1]


def test_long_lines_are_not_remembered() -> None:
    """What is remembered is bounded in bytes."""
    (one,), (two,) = shared(lines(SENT[6])), shared(lines(SENT[6]))

    assert one[0] is not two[0]
