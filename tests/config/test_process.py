"""The settings of a process: what is allowed, what is refused, and the messages."""

from typing import Any

import pytest

from asgi_multitier.config.policy import Policy
from asgi_multitier.config.process import DEFAULT_REDIS_URL, CacheConfig
from asgi_multitier.errors import ConfigError


class TestCacheConfig:
    @pytest.mark.usefixtures("usual_redis_timeout")
    def test_defaults(self) -> None:
        """Every bound is set from the first day."""
        config = CacheConfig()

        assert config.redis_url == DEFAULT_REDIS_URL
        assert (config.max_entry, config.l1_bytes) == (1024 * 1024, 64 * 1024 * 1024)
        assert config.l1_entries >= 100_000
        assert (
            config.header_block,
            config.max_variants,
            config.max_url,
        ) == (16 * 1024, 64, 8 * 1024)
        assert (
            config.max_flights,
            config.max_waiters,
            config.coalesce_timeout,
        ) == (10_000, 1_000, 5.0)
        assert (
            config.redis_timeout,
            config.breaker_failures,
            config.breaker_reset,
        ) == (0.25, 3, 1.0)
        assert config.credential_headers == config.harmless_headers == frozenset()

    def test_secrets_are_not_shown(self) -> None:
        """Neither a password in the URL nor the MAC's key is in the text of a configuration."""
        config = CacheConfig(redis_url="redis://:hunter2@host", secret=b"k" * 16)

        assert "hunter2" not in repr(config)
        assert "kkkk" not in repr(config)

    def test_terms_carry_the_process_bounds(self) -> None:
        """A policy's terms are asked within the bounds of this process."""
        config = CacheConfig(max_entry=10, header_block=20, compress_min_bytes=30)
        terms = config.terms_of(Policy(60))

        assert (terms.lifetime, terms.max_entry, terms.header_limit) == (60.0, 10, 20)
        assert terms.encode_from == 30

    @pytest.mark.parametrize("asked", [True, False])
    def test_what_a_setting_calls_personal_is_not_compressed(self, asked: bool) -> None:
        """Unless the rule asks for it."""
        policy = Policy(60, vary="x-zone", compress="gzip", compress_personal=asked)
        terms = CacheConfig(credential_headers="x-zone").terms_of(policy)

        assert terms.codings == ((b"gzip",) if asked else ())

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("max_entry", 0),
            ("l1_bytes", True),
            ("max_url", 1.5),
            ("redis_timeout", 0),
            ("coalesce_timeout", "5"),
            ("namespace", "a b"),
            ("namespace", ""),
            ("version", "x" * 65),
            ("credential_headers", ["a b"]),
            ("harmless_headers", ["*"]),
            ("harmless_headers", ["Authorization"]),
            ("harmless_headers", ["cookie"]),
            ("harmless_headers", ["x-forwarded-host"]),
        ],
    )
    def test_wrong_settings_are_named(self, option: str, value: object) -> None:
        """The message names the option."""
        with pytest.raises(ConfigError, match=f"CacheConfig: {option}="):
            CacheConfig(**{option: value})  # type: ignore[arg-type]

    def test_a_field_is_a_credential_or_harmless(self) -> None:
        """Naming one in both settings is a contradiction, in whatever spelling."""
        with pytest.raises(ConfigError, match="harmless_headers='x-zone'"):
            CacheConfig(
                credential_headers=frozenset({b"X_Zone"}), harmless_headers=frozenset({b"X-Zone"})
            )

    def test_naming_a_credential_takes_none_away(self) -> None:
        """`credential_headers` adds to what is known by its name."""
        known = CacheConfig(credential_headers=frozenset({b"x-zone"})).credentials

        assert known.include_any([b"x-zone"])
        assert known.include_any([b"x-api-key"])

    @pytest.mark.parametrize("value", ["http://:hunter2@x", "redis://:hunter2@[::1", "hunter2", 7])
    def test_wrong_url_is_refused_without_showing_it(self, value: Any) -> None:
        """A URL may hold a password, so only its scheme is named."""
        with pytest.raises(ConfigError, match="redis_url") as caught:
            CacheConfig(redis_url=value)

        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        "value",
        [
            "http://user:hunter2@ops",
            "http://ops/?token=hunter2",
            "http://hunter2@[::1",
            "javascript:hunter2",
            "http:///hunter2",
            "http://ops/\x1b[2Jhunter2",
            "http://ops/hunter2" + "x" * 200,
            7,
        ],
    )
    def test_wrong_url_of_an_instance_is_refused_without_showing_it(self, value: Any) -> None:
        """All instances tell it, and it is shown."""
        with pytest.raises(ConfigError, match="instance_url") as caught:
            CacheConfig(instance_url=value)

        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("value", [b"short-hunter2", "hunter2" * 4])
    def test_wrong_secret_is_refused_without_showing_it(self, value: Any) -> None:
        """A secret is bytes, at least 16."""
        with pytest.raises(ConfigError, match="at least 16 bytes") as caught:
            CacheConfig(secret=value)

        assert "hunter2" not in str(caught.value)
