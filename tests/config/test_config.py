"""Policies, rules and the process's settings: what is taken, what is refused and how it is said."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier.config.policy import Policy, policy_of
from asgi_multitier.config.process import DEFAULT_REDIS_URL, CacheConfig
from asgi_multitier.config.rules import Invalidations, Rule
from asgi_multitier.config.templates import Template
from asgi_multitier.errors import ConfigError
from asgi_multitier.strategy import CacheStrategy


def tenant(request: Any) -> str:
    return "t"


class TestPolicy:
    def test_defaults_share_nothing_that_is_not_asked_for(self) -> None:
        """Without options: five minutes, GET and HEAD, coalesced, nothing permitted."""
        policy = Policy()

        assert policy.lifetime == 300.0
        assert {"GET", "HEAD"} == policy.methods
        assert policy.coalesce is True
        assert not policy.public
        assert not policy.store_set_cookie
        assert not policy.separates_users
        assert policy.query is None

    def test_friendly_forms_become_one_form(self) -> None:
        """Names may be one text or several, times anything that a lifetime may be."""
        policy = Policy(
            timedelta(minutes=1),
            tags="product:{id}",
            query="lang",
            vary=["Accept-Language", b"X-Tenant", "accept-language"],
            cookies={"b", "a"},
            key="p:{id}",
            methods="get",
            negative=CacheStrategy.REAL_TIME,
            client_cache=0,
            stale_while_revalidate=0,
            stale_on_error=60,
            eager_refresh=0.5,
            jitter=0.1,
            coalesce="fleet",
        )

        assert policy.lifetime == 60.0
        assert (Template("product:{id}"),) == policy.tags
        assert policy.query == ("lang",)
        assert policy.vary == (b"accept-language", b"x-tenant")
        assert policy.cookies == ("a", "b")
        assert Template("p:{id}") == policy.key
        assert {"GET"} == policy.methods
        assert policy.negative == 10.0
        assert (policy.client_cache, policy.stale_while_revalidate) == (0.0, 0.0)
        assert policy.stale_on_error == 60.0
        assert policy.coalesce == "fleet"

    def test_terms_say_what_the_http_rules_need(self) -> None:
        """The HTTP side of a policy is made once, with it."""
        policy = Policy(60, cookies="session", negative=5, methods=["GET"], store_set_cookie=True)

        assert policy.terms is policy.terms
        assert policy.terms.lifetime == 60.0
        assert policy.terms.negative == 5.0
        assert policy.terms.partitioned
        assert not policy.terms.post
        assert Policy.from_origin(methods=["GET", "POST"]).terms.post
        assert policy.terms.set_cookie
        assert Policy(60, vary_by=tenant).terms.partitioned
        assert not Policy(60).terms.partitioned

    def test_from_origin_lets_the_response_decide(self) -> None:
        """No lifetime; what an API leaves off is off until asked for."""
        policy = Policy.from_origin(heuristics=True, targeted="Surrogate-Control")

        assert policy.lifetime is None
        assert policy.terms.heuristics
        assert policy.targeted == (b"surrogate-control",)
        assert not Policy.from_origin().heuristics

    def test_a_policy_can_be_made_from_another(self) -> None:
        """Options given beside a policy replace its own; nothing else changes."""
        base = Policy(60, tags="a", vary="accept")

        changed = policy_of(base, where="x", tags="b")

        assert (60.0, (Template("b"),), (b"accept",)) == (
            changed.lifetime,
            changed.tags,
            changed.vary,
        )
        assert policy_of(base, where="x") is base
        assert dataclasses.replace(base, jitter=0.5).jitter == 0.5

    def test_policies_are_frozen_and_compare_by_value(self) -> None:
        """Share freely what cannot change."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            Policy().public = True  # type: ignore[misc]

        assert Policy(60, tags="a") == Policy(60, tags=["a"])

    @pytest.mark.parametrize(
        ("options", "separates"),
        [
            pytest.param({}, False, id="nothing-said"),
            pytest.param({"public": True}, True, id="public"),
            pytest.param({"vary": "X-User"}, True, id="vary-on-who"),
            pytest.param({"vary": ["Accept", "Accept-Language"]}, False, id="vary-on-what"),
            pytest.param({"cookies": "session"}, True, id="cookies"),
            pytest.param({"vary_by": tenant}, True, id="vary-by"),
        ],
    )
    def test_who_is_separated(self, options: dict[str, Any], separates: bool) -> None:
        """Content negotiation does not tell users apart; the other ways do."""
        assert separates is Policy(60, **options).separates_users

    @pytest.mark.parametrize(
        ("lifetime", "options", "words"),
        [
            pytest.param(0, {}, ["lifetime=0"], id="lifetime-zero"),
            pytest.param("5m", {}, ["lifetime='5m'", "timedelta"], id="lifetime-text"),
            pytest.param(60, {"tag": "x"}, ["tag is not", "did you mean tags"], id="unknown-close"),
            pytest.param(60, {"zzzz": 1}, ["zzzz is not", "one of"], id="unknown-far"),
            pytest.param(60, {"tags": "{"}, ["tags='{'"], id="template"),
            pytest.param(60, {"key": ["a"]}, ["key="], id="key-not-a-text"),
            pytest.param(60, {"query": 7}, ["query=7"], id="query-number"),
            pytest.param(60, {"query": [""]}, ["query=['']"], id="query-empty-name"),
            pytest.param(60, {"vary": "*"}, ["vary='*'"], id="vary-star"),
            pytest.param(60, {"vary": "a b"}, ["vary='a b'"], id="vary-not-a-name"),
            pytest.param(60, {"vary": 1}, ["vary=1"], id="vary-number"),
            pytest.param(60, {"vary_by": "user"}, ["vary_by='user'"], id="vary-by-text"),
            pytest.param(60, {"cookies": ["a;b"]}, ["cookies='a;b'"], id="cookie-name"),
            pytest.param(60, {"public": 1}, ["public=1", "True or False"], id="public-number"),
            pytest.param(60, {"methods": "PUT"}, ["methods='PUT'", "GET, HEAD"], id="put"),
            pytest.param(60, {"methods": []}, ["methods=[]"], id="no-method"),
            pytest.param(
                60,
                {"methods": ["GET", "POST"]},
                ["methods=['GET', 'POST']", "GET and HEAD", "from_origin"],
                id="post-with-a-lifetime",
            ),
            pytest.param(60, {"methods": "POST"}, ["methods=['POST']", "GET"], id="post-alone"),
            pytest.param(60, {"methods": "HEAD"}, ["methods=['HEAD']", "GET"], id="head-alone"),
            pytest.param(
                None, {"methods": ["POST", "HEAD"]}, ["methods=", "GET among them"], id="no-get"
            ),
            pytest.param(
                None,
                {"methods": ["GET", "POST"], "vary_by": tenant},
                ["methods=['GET', 'POST']", "vary_by"],
                id="post-of-a-partition",
            ),
            pytest.param(
                None,
                {"methods": ["GET", "POST"], "when": bool},
                ["methods=['GET', 'POST']", "when"],
                id="post-under-a-condition",
            ),
            pytest.param(60, {"negative": 0}, ["negative=0"], id="negative-zero"),
            pytest.param(60, {"client_cache": -1}, ["client_cache=-1"], id="client-below-0"),
            pytest.param(60, {"eager_refresh": 0}, ["eager_refresh=0"], id="eager-zero"),
            pytest.param(60, {"eager_refresh": 1}, ["eager_refresh=1"], id="eager-one"),
            pytest.param(60, {"jitter": True}, ["jitter=True"], id="jitter-boolean"),
            pytest.param(60, {"jitter": 1.5}, ["jitter=1.5", "share"], id="jitter-large"),
            pytest.param(60, {"coalesce": "all"}, ["coalesce='all'", "'fleet'"], id="coalesce"),
            pytest.param(60, {"coalesce": 1}, ["coalesce=1"], id="coalesce-number"),
            pytest.param(60, {"when": True}, ["when=True"], id="when"),
            pytest.param(60, {"stale_on_error": 0}, ["stale_on_error=0"], id="stale-on-error"),
            pytest.param(
                60, {"public": True, "vary_by": tenant}, ["public=True", "vary_by"], id="public-by"
            ),
            pytest.param(60, {"heuristics": True}, ["heuristics=True"], id="heuristics-lifetime"),
            pytest.param(60, {"partial": True}, ["partial=True"], id="partial-lifetime"),
            pytest.param(
                60,
                {"soft_timeout": 2, "hard_timeout": 1},
                ["soft_timeout=2.0", "hard_timeout=1"],
                id="soft-above-hard",
            ),
        ],
    )
    def test_wrong_options_say_what_is_allowed(
        self, lifetime: Any, options: dict[str, Any], words: list[str]
    ) -> None:
        """The message names place, option and value, and what would do."""
        with pytest.raises(ConfigError) as caught:
            Policy(lifetime, where="route /x", **options)

        assert str(caught.value).startswith("route /x: ")
        for word in words:
            assert word in str(caught.value)


class TestRule:
    @pytest.mark.parametrize(
        ("glob", "path", "matches"),
        [
            pytest.param("/static/*", "/static/a/b.js", True, id="star-spans-slashes"),
            pytest.param("/static/*", "/statics", False, id="prefix-ends-at-slash"),
            pytest.param("/p/?", "/p/7", True, id="question-mark"),
            pytest.param("*.js", "/a/b.js", True, id="leading-star"),
            pytest.param("/a", "/a/", False, id="whole-path"),
        ],
    )
    def test_rule_matches_the_whole_path(self, glob: str, path: str, matches: bool) -> None:
        """A glob stands for the whole path."""
        assert matches is Rule(glob).matches(path)

    def test_rule_takes_what_cached_takes(self) -> None:
        """A lifetime with options, or a policy with options, or None for never."""
        assert Policy(60, tags="a") == Rule("/x", 60, tags="a").policy
        assert Policy.from_origin(tags="a") == Rule("/x", Policy.from_origin(), tags="a").policy
        assert Rule("/x", None).policy is None

    @pytest.mark.parametrize(
        ("make", "word"),
        [
            pytest.param(lambda: Rule("static/*"), "glob='static/*'", id="no-slash"),
            pytest.param(lambda: Rule(""), "glob=''", id="empty"),
            pytest.param(lambda: Rule("/" + "*" * 9), "8 stars", id="too-many-stars"),
            pytest.param(lambda: Rule("/" + "a" * 256), "256", id="too-long"),
            pytest.param(lambda: Rule("/x", 60, tag="a"), "did you mean tags", id="option"),  # type: ignore[call-arg]
            pytest.param(lambda: Rule("/x", "long"), "strategy='long'", id="strategy"),  # type: ignore[arg-type]
            pytest.param(lambda: Rule("/x", None, tags="a"), "strategy=None", id="never-with"),
        ],
    )
    def test_wrong_rules_are_named(self, make: Callable[[], Rule], word: str) -> None:
        """The message begins with the rule."""
        with pytest.raises(ConfigError) as caught:
            make()

        assert str(caught.value).startswith("Rule(")
        assert word in str(caught.value)


def test_invalidations_add_up() -> None:
    """Several of them name together what each names."""
    both = Invalidations(tags=(Template("{a}"),), routes=("r",)) + Invalidations(
        tags=(Template("b"),), paths=(Template("/{p}"),), patterns=(Template("{g}*"),)
    )

    assert (Template("{a}"), Template("b")) == both.tags
    assert both.routes == ("r",)
    assert ((Template("/{p}"),), (Template("{g}*"),)) == (both.paths, both.patterns)


class TestCacheConfig:
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
        terms = CacheConfig(max_entry=10, header_block=20).terms_of(Policy(60))

        assert (terms.lifetime, terms.max_entry, terms.header_limit) == (60.0, 10, 20)

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

    @pytest.mark.parametrize("value", ["http://:hunter2@x", "hunter2", 7])
    def test_wrong_url_is_refused_without_showing_it(self, value: Any) -> None:
        """A URL may hold a password, so only its scheme is named."""
        with pytest.raises(ConfigError, match="redis_url") as caught:
            CacheConfig(redis_url=value)

        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("value", [b"short-hunter2", "hunter2" * 4])
    def test_wrong_secret_is_refused_without_showing_it(self, value: Any) -> None:
        """A secret is bytes, at least 16."""
        with pytest.raises(ConfigError, match="at least 16 bytes") as caught:
            CacheConfig(secret=value)

        assert "hunter2" not in str(caught.value)


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
                ["environment", "l1_bytes='64MB'", "a number"],
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
