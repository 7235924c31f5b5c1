"""Tables of the documentation match the code."""

import ast
from collections.abc import Callable
from inspect import Parameter, signature
from time import monotonic, time
from typing import Any

import pytest

from asgi_multitier import (
    CacheConfig,
    CacheManager,
    CacheMiddleware,
    CacheStrategy,
    InvalidationConfig,
    Rule,
    TierConfig,
    invalidates,
)
from asgi_multitier.config.policy import Policy, PolicyOptions
from asgi_multitier.config.process import Settings
from asgi_multitier.config.values import ComputeOptions, StoreOptions
from tests.docs.pages import rows
from tests.docs.words import word

OPTIONS = "reference/options"


def listed(heading: str) -> dict[str, list[str]]:
    """The rows of a table of options, by the name in their first cell."""
    return {row[0].split("`")[1]: row for row in rows(OPTIONS, heading)}


def test_table_of_options_has_every_option_with_its_type_and_default() -> None:
    """It also says which options single calls accept."""
    table = listed("Options of a route")
    defaults = Policy(1)

    assert set(table) == set(PolicyOptions.__annotations__)
    for name, row in table.items():
        default = ast.literal_eval(row[2].strip("`"))
        value = getattr(defaults, name)
        if name == "targeted":
            value = tuple(field.decode() for field in value)
        assert default == value, name
        assert row[1] == word(PolicyOptions.__annotations__[name]), name
    of_set = {name for name, row in table.items() if row[3] == "set"}
    of_computing = {name for name, row in table.items() if row[3] == "compute"}
    assert of_set == set(StoreOptions.__annotations__) | {"tags"}
    assert of_set | of_computing == set(ComputeOptions.__annotations__) | {"tags"}


def shown(default: object) -> str:
    """How a default is written."""
    if isinstance(default, CacheStrategy):
        return f"CacheStrategy.{default.name}"
    if isinstance(default, str):
        return f'"{default}"'
    others = {monotonic: "time.monotonic", time: "time.time", Parameter.empty: ""}
    return others.get(default, repr(default))


@pytest.mark.parametrize(
    ("heading", "called"),
    [
        ("Options of a rule", Rule),
        ("Options of a mutation", invalidates),
        ("Options of the middleware", CacheMiddleware),
        ("Options of the manager", CacheManager),
        ("Settings of the log", InvalidationConfig),
        ("Settings of a tier", TierConfig),
    ],
)
def test_table_of_arguments_is_that_of_the_signature(
    heading: str, called: Callable[..., Any]
) -> None:
    """Names and defaults, in order; what is passed on to others is in their tables."""
    found = {
        name: one.default
        for name, one in signature(called).parameters.items()
        if one.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    }
    table = listed(heading)

    assert list(table) == list(found)
    for name, row in table.items():
        assert row[2].strip("`") == shown(found[name]), name


def test_table_of_lifetimes_is_that_of_the_strategies() -> None:
    """The table gives seconds, minutes and hours."""
    units = {"s": 1, "min": 60, "h": 3600}
    for name, text, _ in rows("reference/strategies", "Lifetimes")[:-1]:
        number, unit = text.split()
        strategy: CacheStrategy = getattr(CacheStrategy, name.strip("`").partition(".")[2])
        assert strategy.seconds == int(number) * units[unit]


@pytest.mark.usefixtures("usual_redis_timeout")
def test_table_of_settings_has_every_setting_with_its_default() -> None:
    """With its variable and type. Bounds have units; other values are written as in Python."""
    units = {"": 1, "MiB": 2**20, "KiB": 2**10, "s": 1, "ms": 0.001}
    table = listed("Settings of the process")
    config = CacheConfig()

    assert set(table) == set(CacheConfig.__dataclass_fields__) == set(Settings.__annotations__)
    for name, (first, type_, text, _) in table.items():
        assert first == f"`{name}`<br>`ASGI_MULTITIER_{name.upper()}`"
        assert type_ == word(Settings.__annotations__[name]), name
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
