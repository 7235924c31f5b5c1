"""The settings of a manager and where they come from; arguments that exclude each other."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from ..config.process import CacheConfig, Settings, read_config
from ..engine.engine import Tier
from ..errors import ConfigError
from ..tiers.base import LocalTier, TierConfig


def settings_of(
    config: CacheConfig | None, settings: Settings
) -> tuple[CacheConfig, Mapping[str, str]]:
    """The settings that were given whole, or those that were read.

    Args:
        config: All settings; None to read them.
        settings: Those that were given one by one.

    Returns:
        The settings; by name where each comes from that is not the default.

    Raises:
        ConfigError: If one is wrong.
    """
    if config is None:
        return read_config(**settings)
    return config, {field.name: "config" for field in fields(config)}


def refuse_both(name: str, value: object, other: str, another: object) -> None:
    """Two arguments of which one says what the other says.

    Raises:
        ConfigError: If both are given.
    """
    if value is not None and another is not None:
        raise ConfigError(f"CacheManager: {name}= and {other}= cannot both be given")


def in_places(
    tiers: Sequence[tuple[Tier, TierConfig]] | None, l1: LocalTier | None, l2: Tier | None
) -> list[tuple[Tier, TierConfig]]:
    """The tiers that were given, with their places.

    Raises:
        ConfigError: If they are given in two ways, or there are none.
    """
    for name, tier in (("l1", l1), ("l2", l2)):
        refuse_both("tiers", tiers, name, tier)
    if tiers is not None and not tiers:
        allowed = "at least one (tier, TierConfig)"
        raise ConfigError.of("tiers", tiers, allowed, where="CacheManager")
    pairs = list(tiers or ())
    pairs += [(l1, TierConfig.l1())] if l1 is not None else []
    pairs += [(l2, TierConfig.l2())] if l2 is not None else []
    return pairs
