"""Fields that plans have at hand: equal ones are one object, within bounds."""

from asgi_multitier.asgi.shared_fields import SharedFields
from asgi_multitier.policy.request import CHOICES, Field, FieldLines


def proxied(host: bytes) -> FieldLines:
    """What a scan finds behind a proxy."""
    return {Field.FORWARDED: [(b"x-forwarded-host", host)]}


def test_equal_fields_are_one_object() -> None:
    """Also where one request has a condition as well, which selects nothing."""
    shared = SharedFields()

    first = shared.found(proxied(b"shop.example"), CHOICES)
    condition = [(b"if-none-match", b'"a"')]
    second = shared.found({**proxied(b"shop.example"), Field.CONDITION: condition}, CHOICES)

    assert first is second
    assert first == proxied(b"shop.example")
    assert shared.found(proxied(b"other.example"), CHOICES) == proxied(b"other.example")
    assert shared.found({Field.CONDITION: condition}, CHOICES) is None
    line = (b"accept-language", b"de")
    assert shared.lines([line]) is shared.lines([line])
    assert shared.lines([line, line]) == [line, line]


def test_the_same_line_of_another_meaning_is_another() -> None:
    """Which fields identify the user is a setting."""
    shared = SharedFields()
    lines = [(b"x-user", b"a")]

    assert shared.found({Field.CREDENTIALS: lines}, CHOICES) == {Field.CREDENTIALS: lines}
    assert shared.found({Field.FORWARDED: lines}, CHOICES) == {Field.FORWARDED: lines}


def test_clients_cannot_fill_the_memory() -> None:
    """Long fields are not kept, and equal no other request's; many are forgotten."""
    shared = SharedFields()

    long = {Field.COOKIE: [(b"cookie", b"a" * 1_000)]}
    kept = shared.found(long, CHOICES)
    assert kept != long
    assert kept is not None
    for number in range(10_000):
        shared.found(proxied(b"%d" % number), CHOICES)
        shared.lines([(b"accept-language", b"%d" % number)])
    assert 0 < len(shared._found) <= 512
    assert 0 < len(shared._lines) <= 512
