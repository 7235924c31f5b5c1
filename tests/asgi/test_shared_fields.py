"""Fields that plans have at hand: equal ones are one object, within bounds."""

from asgi_multitier.asgi.shared_fields import SharedFields


def proxied(host: bytes) -> tuple[bytes, bytes]:
    """What a proxy adds; of new objects."""
    return (bytes(bytearray(b"x-forwarded-host")), bytes(bytearray(host)))


def test_equal_fields_are_one_object() -> None:
    """One line, or several; and they are equal to those that come with the next request."""
    shared = SharedFields()

    one = shared.of(proxied(b"shop.example"))
    assert one == proxied(b"shop.example")
    assert shared.of(proxied(b"shop.example")) is one
    assert shared.of(proxied(b"other.example")) == proxied(b"other.example")
    several = shared.of((proxied(b"a"), proxied(b"b")))
    assert several == (proxied(b"a"), proxied(b"b"))
    assert shared.of((proxied(b"a"), proxied(b"b"))) is several
    assert shared.of(None) is None


def test_what_is_kept_cannot_be_edited() -> None:
    """Sloppy servers send lists."""
    shared = SharedFields()
    line = [b"accept-language", b"de"]

    one, several = shared.of(line), shared.of((line, line))
    line[1] = b"en"

    assert one == (b"accept-language", b"de")
    assert several == ((b"accept-language", b"de"),) * 2


def test_clients_cannot_fill_the_memory() -> None:
    """Long fields are not kept, and equal no other request's; many are forgotten."""
    shared = SharedFields()

    long = (b"cookie", b"a" * 1_000)
    for taken in (long, (long, proxied(b"a"))):
        kept = shared.of(taken)
        assert kept != taken
        assert kept not in (None, (), (b"", b""))
    for number in range(10_000):
        shared.of(proxied(b"%d" % number))
    assert 0 < len(shared._known) <= 512
