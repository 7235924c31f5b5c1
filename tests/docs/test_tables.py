"""Tables of the documentation match the code."""

import ast

import pytest

from asgi_multitier import CacheConfig, CacheStrategy, TierConfig
from asgi_multitier.config.policy import Policy, PolicyOptions
from asgi_multitier.config.values import ComputeOptions, StoreOptions
from tests.docs.pages import rows


def test_table_of_options_has_every_option_with_its_default() -> None:
    """It also says which options single calls accept."""
    listed = {row[0].strip("`"): row for row in rows("reference/strategies", "Options")}
    defaults = Policy(1)

    assert set(listed) == set(PolicyOptions.__annotations__)
    for name, row in listed.items():
        default = ast.literal_eval(row[1].strip("`"))
        value = getattr(defaults, name)
        if name == "targeted":
            value = tuple(field.decode() for field in value)
        assert default == value, name
    of_set = {name for name, row in listed.items() if row[2] == "set"}
    of_computing = {name for name, row in listed.items() if row[2] == "compute"}
    assert of_set == set(StoreOptions.__annotations__) | {"tags"}
    assert of_set | of_computing == set(ComputeOptions.__annotations__) | {"tags"}


def test_table_of_lifetimes_is_that_of_the_strategies() -> None:
    """The table gives seconds, minutes and hours."""
    units = {"s": 1, "min": 60, "h": 3600}
    for name, text, _ in rows("reference/strategies", "Lifetimes")[:-1]:
        number, unit = text.split()
        strategy: CacheStrategy = getattr(CacheStrategy, name.strip("`").partition(".")[2])
        assert strategy.seconds == int(number) * units[unit]


@pytest.mark.usefixtures("usual_redis_timeout")
def test_table_of_settings_has_every_setting_with_its_default() -> None:
    """Bounds have units; all other values are written as in Python."""
    units = {"": 1, "MiB": 2**20, "KiB": 2**10, "s": 1, "ms": 0.001}
    listed = {
        row[0].strip("`"): row[1] for row in rows("reference/strategies", "Settings of the process")
    }
    config = CacheConfig()

    assert set(listed) == set(CacheConfig.__dataclass_fields__)
    for name, text in listed.items():
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            shown = "none" if value == frozenset() else str(value)
            assert text.strip("`").strip('"') == shown, name
            continue
        number, _, unit = text.replace(",", "").partition(" ")
        assert getattr(config, name) == int(number) * units[unit], name


def test_table_of_tiers_is_that_of_the_presets() -> None:
    """The table gives level, scale and promotion."""
    for name, level, scale, promotion, frequency in rows("concepts/tiers", "More than two"):
        preset: TierConfig = getattr(TierConfig, name.strip("`").partition(".")[2][:2])()
        assert (preset.level, preset.ttl_scale) == (int(level), float(scale))
        assert preset.promotion is (promotion == "yes")
        assert preset.promotion_frequency == int(frequency or 1)
