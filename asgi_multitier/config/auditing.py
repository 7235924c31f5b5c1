"""Settings of audits: which share of hits, and what becomes of a wrong one."""

from fractions import Fraction
from typing import Literal, TypeAlias, cast, get_args

from ..errors import ConfigError

OnWrong: TypeAlias = Literal["report", "drop"]
"""What becomes of a stored response that an audit has found wrong, besides being counted."""

_ALLOWED = "a share of hits from 0 to 1, such as 1/1000, '1/1000' or 0.001; 0 or None for no audit"


def read_audit(value: object) -> float | None:
    """The share of hits that is audited; None for none.

    Raises:
        ConfigError: If the value is no share.
    """
    if value is None:
        return None
    refused = ConfigError.of("audit", value, _ALLOWED, where="CacheConfig")
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction | str):
        raise refused
    try:
        share = float(Fraction(value) if isinstance(value, str) else value)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise refused from None
    if not 0 <= share <= 1:  # also what is no number
        raise refused
    return share or None


def read_on_wrong(value: object) -> OnWrong:
    """Check what becomes of what was wrong.

    Raises:
        ConfigError: If there is no such answer.
    """
    if value not in get_args(OnWrong):
        raise ConfigError.of("on_wrong", value, "'report' or 'drop'", where="CacheConfig")
    return cast(OnWrong, value)
