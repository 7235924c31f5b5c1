"""`Cache-Debug` as a dictionary of structured fields."""

from typing import Any

import http_sf
import pytest

from asgi_multitier.policy.debug_field import NAME, Look, debug_line


def test_all_that_it_may_say() -> None:
    """Tokens, strings, integers, and an inner list of tiers with their durations."""
    looks = [Look(1, "none", 0.0000123), Look(2, "fresh", 0.00041)]
    line = debug_line(
        rule="annotation", route="/a/{b}", key="r:1", age=3, born="ab/4", tags=2, looks=looks
    )

    assert line[0] == NAME
    assert line[1].split(b", ") == [
        b"rule=annotation",
        b'route="/a/{b}"',
        b'key="r:1"',
        b"age=3",
        b'born="ab/4"',
        b"tags=2",
        b"look=(l1;found=none;ms=0.012 l2;found=fresh;ms=0.41)",
    ]


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("/caf\u00e9", r"/caf\xe9"),
        ('/"\\', '/"\\'),
        ("/a\r\nb: c", r"/a\r\nb: c"),
        ("/\x7f", r"/\x7f"),
    ],
)
def test_any_route_can_be_said(route: str, said: str) -> None:
    """Its text ends no line, and can be read."""
    name, value = debug_line(rule="rule", route=route)
    found: Any = http_sf.parse(value, tltype="dictionary")

    assert name == b"cache-debug"
    assert value.isascii()
    assert value.decode().isprintable()
    assert list(found) == ["rule", "route"]
    assert found["route"][0] == said
