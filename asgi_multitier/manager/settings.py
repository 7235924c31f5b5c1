"""The settings of a manager, and where they come from."""

from collections.abc import Mapping
from dataclasses import fields

from ..config.process import CacheConfig, Settings, read_config


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
