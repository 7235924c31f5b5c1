"""Versions of data: which are the same, and what is none."""

from typing import Any

import pytest

from asgi_multitier.policy.data_version import is_unchanged, version_digest

DIFFERENT: list[Any] = ["1", 1, b"1", 2, "", b"", ("1",), -1, "x" * 10_000, "x" * 10_001]


def test_no_two_versions_are_one() -> None:
    """By type and by value; each takes the same few bytes."""
    digests = [version_digest(version) for version in DIFFERENT]

    assert len(set(digests)) == len(DIFFERENT)
    assert {len(digest or b"") for digest in digests} == {16}
    assert version_digest("a") == version_digest("a")
    assert version_digest(None) is None


@pytest.mark.parametrize("version", [True, 1.5, [1], {}, object(), "\ud800"], ids=repr)
def test_what_cannot_be_told_apart_is_no_version(version: object) -> None:
    """The message says what is one."""
    with pytest.raises(TypeError, match=rf"a {type(version).__name__} is no version; expected a s"):
        version_digest(version)


@pytest.mark.parametrize(
    ("stored", "current", "unchanged"),
    [
        (b"1", b"1", True),
        (b"1", b"2", False),
        (None, b"1", False),
        (b"1", None, False),
        (None, None, False),
    ],
)
def test_only_a_known_version_is_unchanged(
    stored: bytes | None, current: bytes | None, unchanged: bool
) -> None:
    """What was not known before, or is not known now, says nothing."""
    assert is_unchanged(stored, current) is unchanged
