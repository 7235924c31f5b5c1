"""The circuit breaker."""

import pytest

from asgi_multitier.breaker import WHOLE, Breakers, BreakerState, CircuitBreaker
from asgi_multitier.errors import ConfigError


def opened(at: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(failures=3, reset=1.0)
    for _ in range(3):
        breaker.failed(at)
    return breaker


def test_it_stays_closed_below_the_limit() -> None:
    """Two failures in a row of three allowed change nothing."""
    breaker = CircuitBreaker(failures=3)
    breaker.failed(0.0)
    breaker.failed(0.0)

    assert breaker.allows(0.0)
    assert breaker.state is BreakerState.CLOSED


def test_a_success_begins_the_count_anew() -> None:
    """Only failures in a row count."""
    breaker = CircuitBreaker(failures=2)
    breaker.failed(0.0)
    breaker.succeeded()
    breaker.failed(0.0)

    assert breaker.allows(0.0)


def test_it_opens_at_the_limit_and_allows_nothing() -> None:
    """At the third failure in a row calls stop."""
    breaker = opened()

    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows(0.999)


def test_one_probe_goes_through_after_the_pause() -> None:
    """Half-open lets one call through and keeps the others out."""
    breaker = opened()

    assert breaker.allows(1.0)
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.allows(1.0)


def test_a_probe_that_fails_opens_it_at_once() -> None:
    """After a failed probe the whole pause begins again."""
    breaker = opened()
    breaker.allows(1.0)
    breaker.failed(1.1)

    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows(2.0)
    assert breaker.allows(2.1)


def test_a_probe_that_succeeds_closes_it() -> None:
    """After a good probe all calls go through."""
    breaker = opened()
    breaker.allows(1.0)
    breaker.succeeded()

    assert not breaker.is_blocked(1.1)
    assert breaker.allows(1.1)
    assert breaker.allows(1.1)
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_that_never_reports_does_not_keep_it_open_for_ever() -> None:
    """A cancelled probe makes way for another after the pause."""
    breaker = opened()
    breaker.allows(1.0)

    assert breaker.allows(2.0)


def test_asking_whether_it_is_blocked_changes_nothing() -> None:
    """Open until the pause is over; then one may ask, and is no probe by that."""
    breaker = opened()

    assert breaker.is_blocked(0.5)
    assert not breaker.is_blocked(1.0)
    assert breaker.state is BreakerState.OPEN
    assert not CircuitBreaker().is_blocked(0.0)


def test_it_tells_its_state() -> None:
    """The repr says what matters."""
    assert repr(opened()) == "<CircuitBreaker open, 3 failures in a row>"


@pytest.mark.parametrize(
    "settings",
    [{"failures": 0}, {"failures": True}, {"failures": 1.5}, {"reset": 0}, {"reset": "1"}],
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A setting out of range is a ConfigError."""
    with pytest.raises(ConfigError):
        CircuitBreaker(**settings)  # type: ignore[arg-type]


def test_servers_that_are_gone_are_forgotten() -> None:
    """What failed on one that is no more is neither kept nor told for ever."""
    present = ["a", "b"]
    breakers = Breakers(1, 1.0, lambda: present)
    assert breakers.failed(("a", "get"), 0.0)
    assert not breakers.failed(("a", "set"), 0.0)
    assert not breakers.is_blocked("get", 0.0)
    assert breakers.failed(("b", "get"), 0.0)
    assert breakers.is_blocked("get", 0.0)
    assert breakers.state(0.5) is BreakerState.OPEN
    assert "get" in repr(breakers)
    present[:] = ["b", "c"]
    assert breakers.succeeded(("b", "get"))

    assert breakers.state(0.5) is BreakerState.CLOSED
    assert repr(breakers) == "<Breakers all well>"


def test_failures_of_servers_that_come_and_go_do_not_pile_up() -> None:
    """Where each server fails once and is replaced, there is never more than the last one's."""
    present: list[str] = []
    breakers = Breakers(1, 1.0, lambda: present)
    for number in range(100):
        present[:] = [f"s{number}"]
        breakers.failed((f"s{number}", "get"), 0.0)

    assert repr(breakers).count("get") == 1


@pytest.mark.parametrize("server", [WHOLE, "unknown"])
def test_what_is_no_listed_server_counts_as_well(server: str) -> None:
    """All together, and one that is not known yet: others that fail do not reset its count."""
    breakers = Breakers(2, 1.0, lambda: ["a"])
    assert not breakers.failed((server, "ping"), 0.0)
    if server == WHOLE:
        breakers.failed(("a", "get"), 0.0)

    assert breakers.failed((server, "ping"), 0.0)


def test_it_is_open_while_anything_is_skipped() -> None:
    """Half-open means that all that failed is to be tried."""
    breakers = Breakers(1, 1.0, lambda: ["a", "b"])
    breakers.failed(("a", "get"), 0.0)
    breakers.failed(("b", "get"), 0.5)

    states = [breakers.state(now).value for now in (0.9, 1.2, 1.6)]
    assert states == ["open", "open", "half-open"]
