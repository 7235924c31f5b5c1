"""Settings of audits: the share of hits, in any spelling, and what becomes of a wrong one."""

from fractions import Fraction
from typing import Any

import pytest

from asgi_multitier import CacheConfig
from asgi_multitier.errors import ConfigError

SHARES = [
    (None, None), (0, None), (0.0, None), ("0", None), ("0/5", None), (1, 1.0), ("1", 1.0),
    (0.001, 0.001), (1 / 1000, 0.001), ("1/1000", 0.001), ("0.001", 0.001), (" 1/1000 ", 0.001),
    ("1e-3", 0.001), (Fraction(1, 1000), 0.001),
]  # fmt: skip


@pytest.mark.parametrize(("given", "share"), SHARES)
def test_a_share_of_hits(given: Any, share: float | None) -> None:
    """As a fraction, as a number, and as the environment has it."""
    assert CacheConfig(audit=given).audit == share
    if isinstance(given, str):
        environ = {"ASGI_MULTITIER_AUDIT": given}
        assert CacheConfig.resolve(environ=environ, dotenv=None).audit == share


WRONG = [
    -1, -0.5, 2, 1.5, float("nan"), float("inf"), "1/0", "2/1", "", "often", "1/1000/2", "-1/5",
    True, False, b"1/1000", [], "1_0" * 500,
]  # fmt: skip


@pytest.mark.parametrize("given", WRONG, ids=lambda given: repr(given)[:20])
def test_what_is_no_share_is_refused(given: Any) -> None:
    """With what to write instead."""
    with pytest.raises(ConfigError, match=r"audit=.* a share of hits from 0 to 1, such as 1/1000"):
        CacheConfig(audit=given)


@pytest.mark.parametrize("given", ["drop", "report"])
def test_what_becomes_of_a_wrong_one(given: Any) -> None:
    """By argument and by the environment, there in any case."""
    environ = {"ASGI_MULTITIER_ON_WRONG": given.upper(), "ASGI_MULTITIER_AUDIT_RUNS": "7"}
    config = CacheConfig.resolve(environ=environ, dotenv=None)

    assert CacheConfig(on_wrong=given).on_wrong == config.on_wrong == given
    assert config.audit_runs == 7


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"on_wrong": "ignore"}, r"on_wrong='ignore' .* 'report' or 'drop'"),
        ({"on_wrong": None}, r"on_wrong=None .* 'report' or 'drop'"),
        ({"audit_runs": 0}, r"audit_runs=0 .* a whole number from 1"),
        ({"audit_runs": 0.5}, r"audit_runs=0.5 .* a whole number from 1"),
    ],
)
def test_other_values_are_refused(settings: Any, told: str) -> None:
    """Each names the option, the value and what is allowed."""
    with pytest.raises(ConfigError, match=told):
        CacheConfig(**settings)
