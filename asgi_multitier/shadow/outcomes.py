"""What would have become of requests, in the words of the figures."""

from enum import StrEnum, unique

from .observation import Observation


@unique
class WouldBe(StrEnum):
    """What the cache would have done with a request; each is counted once."""

    HIT = "hit"
    """Answered by a fresh entry, and not wrong as far as that could be compared."""

    STALE = "stale"
    """The same, by an entry past its lifetime."""

    WRONG = "wrong"
    """Answered with something else than the application's answer."""

    COALESCED = "coalesced"
    """Waited for the run of another request."""

    MISS = "miss"
    """Asked the application, and stored its answer."""

    PASS = "pass"  # noqa: S105  # no password
    """Asked the application, and stored nothing."""


def outcome_of(one: Observation) -> WouldBe:
    """The word for a request."""
    told = [answer.digest for answer in (one.answer, one.served) if answer is not None]
    if len(set(told)) > 1:
        return WouldBe.WRONG
    return _WORDS.get(one.would, WouldBe.PASS)


_WORDS = {word.value: word for word in WouldBe if word not in (WouldBe.WRONG, WouldBe.PASS)}
