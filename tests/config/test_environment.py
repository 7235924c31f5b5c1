"""Settings from arguments, the environment and a `.env` file."""

from pathlib import Path

import pytest

from asgi_multitier.config.process import DEFAULT_REDIS_URL, CacheConfig
from asgi_multitier.errors import ConfigError


class TestResolve:
    def test_arguments_beat_environment_beats_file_beats_defaults(self, tmp_path: Path) -> None:
        """Each source is asked only for what a stronger one leaves open."""
        dotenv = tmp_path / ".env"
        dotenv.write_text(
            "ASGI_MULTITIER_MAX_ENTRY=1\nASGI_MULTITIER_MAX_URL=2\nASGI_MULTITIER_MAX_VARIANTS=3\n"
        )
        environ = {"ASGI_MULTITIER_MAX_ENTRY": "10", "ASGI_MULTITIER_MAX_URL": "20"}

        config = CacheConfig.resolve(environ=environ, dotenv=dotenv, max_entry=100)

        assert (
            config.max_entry,
            config.max_url,
            config.max_variants,
            config.max_waiters,
        ) == (100, 20, 3, 1_000)

    @pytest.mark.parametrize(
        ("environ", "url"),
        [
            pytest.param({}, DEFAULT_REDIS_URL, id="default"),
            pytest.param({"REDIS_URL": "redis://a"}, "redis://a", id="plain-name"),
            pytest.param({"REDIS_URL": ""}, DEFAULT_REDIS_URL, id="empty-is-not-set"),
            pytest.param({"REDIS_URL": "none"}, None, id="memory-only"),
            pytest.param(
                {"REDIS_URL": "redis://a", "ASGI_MULTITIER_REDIS_URL": "redis://b"},
                "redis://b",
                id="own-name-is-stronger",
            ),
            pytest.param(
                {"REDIS_URL": "redis://a", "ASGI_MULTITIER_REDIS_URL": ""},
                "redis://a",
                id="empty-own-name-is-not-set",
            ),
        ],
    )
    def test_where_redis_is(self, environ: dict[str, str], url: str | None) -> None:
        """Two names, one of them the usual one."""
        assert url == CacheConfig.resolve(environ=environ, dotenv=None).redis_url

    def test_an_argument_of_none_counts(self) -> None:
        """Memory only is said by None, whatever the environment says."""
        config = CacheConfig.resolve(environ={"REDIS_URL": "redis://a"}, redis_url=None)

        assert config.redis_url is None

    def test_the_process_environment_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without `environ=` the variables of the process are read."""
        monkeypatch.setenv("ASGI_MULTITIER_MAX_ENTRY", "7")

        assert CacheConfig.resolve(dotenv=None).max_entry == 7

    def test_texts_become_values(self) -> None:
        """Numbers, names, bytes and texts are read from the environment."""
        config = CacheConfig.resolve(
            dotenv=None,
            environ={
                "ASGI_MULTITIER_REDIS_TIMEOUT": " 0.5 ",
                "ASGI_MULTITIER_CREDENTIAL_HEADERS": "X-Key, authorization,",
                "ASGI_MULTITIER_HARMLESS_HEADERS": "X-Token-Bucket",
                "ASGI_MULTITIER_SECRET": "s" * 16,
                "ASGI_MULTITIER_NAMESPACE": "shop",
                "OTHER": "x",
            },
        )

        assert config.redis_timeout == 0.5
        assert {b"x-key", b"authorization"} == config.credential_headers
        assert {b"x-token-bucket"} == config.harmless_headers
        assert config.secret == b"s" * 16
        assert config.namespace == "shop"

    @pytest.mark.parametrize(
        ("environ", "words"),
        [
            pytest.param(
                {"ASGI_MULTITIER_L1_BYTE": "1"},
                ["environment", "did you mean ASGI_MULTITIER_L1_BYTES?"],
                id="unknown",
            ),
            pytest.param(
                {"ASGI_MULTITIER_L1_BYTES": "64MB"},
                ["environment", "l1_bytes='64MB'", "a whole number"],
                id="not-a-number",
            ),
        ],
    )
    def test_wrong_variables_are_named(self, environ: dict[str, str], words: list[str]) -> None:
        """The message names the source and the closest known name."""
        with pytest.raises(ConfigError) as caught:
            CacheConfig.resolve(environ=environ, dotenv=None)

        for word in words:
            assert word in str(caught.value)

    def test_unknown_argument_names_the_closest(self) -> None:
        """A misspelt argument is not dropped silently."""
        with pytest.raises(ConfigError, match="did you mean redis_url"):
            CacheConfig.resolve(environ={}, dotenv=None, redis_ur="x")

    @pytest.mark.parametrize(
        ("line", "value"),
        [
            pytest.param("ASGI_MULTITIER_NAMESPACE=shop", "shop", id="bare"),
            pytest.param("  export ASGI_MULTITIER_NAMESPACE = shop  ", "shop", id="export"),
            pytest.param('ASGI_MULTITIER_NAMESPACE="shop" # why', "shop", id="double-quotes"),
            pytest.param("ASGI_MULTITIER_NAMESPACE='shop'", "shop", id="single-quotes"),
            pytest.param("ASGI_MULTITIER_NAMESPACE=shop # why", "shop", id="comment"),
            pytest.param("ASGI_MULTITIER_NAMESPACE=", None, id="empty"),
            pytest.param("# ASGI_MULTITIER_NAMESPACE=shop", None, id="commented-out"),
            pytest.param('OTHER="many\nlines"', None, id="others-are-left-alone"),
        ],
    )
    def test_dotenv_lines(self, tmp_path: Path, line: str, value: str | None) -> None:
        """Our lines are read, all others are left alone."""
        (tmp_path / ".env").write_text(line)

        config = CacheConfig.resolve(environ={}, dotenv=tmp_path / ".env")

        assert value == config.namespace

    @pytest.mark.parametrize("value", ['"open', "two words", "'a' b"])
    def test_wrong_dotenv_line_is_named(self, tmp_path: Path, value: str) -> None:
        """The message names file, line and variable, and not the value, which may be a secret."""
        (tmp_path / ".env").write_text(f"A=1\nASGI_MULTITIER_SECRET={value}\n")

        with pytest.raises(ConfigError, match=r"\.env, line 2: .*ASGI_MULTITIER_SECRET") as caught:
            CacheConfig.resolve(environ={}, dotenv=tmp_path / ".env")

        assert value not in str(caught.value)

    def test_missing_dotenv_is_no_error(self, tmp_path: Path) -> None:
        """The file is optional."""
        assert CacheConfig.resolve(environ={}, dotenv=tmp_path / "no" / ".env") == CacheConfig()

    def test_unreadable_dotenv_is_named(self, tmp_path: Path) -> None:
        """A file that is there and is no text is an error."""
        (tmp_path / ".env").write_bytes(b"\xff\xfe\xff")

        with pytest.raises(ConfigError, match="cannot be read as text"):
            CacheConfig.resolve(environ={}, dotenv=tmp_path / ".env")
