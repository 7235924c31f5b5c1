"""Policies: what is allowed, what is refused, and the messages."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from asgi_multitier.config.policy import Policy, policy_of
from asgi_multitier.config.process import CacheConfig
from asgi_multitier.config.templates import Template
from asgi_multitier.config.values import compute_policy
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
        assert not Policy.from_origin(methods=["GET", "POST"], body=True).terms.post
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

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (False, ()),
            ([], ()),
            (True, (b"zstd", b"br", b"gzip")),
            ("gzip", (b"gzip",)),
            (["gzip", "br"], (b"gzip", b"br")),
            ((b"br",), (b"br",)),
        ],
    )
    def test_codings_are_in_the_order_given(self, given: Any, expected: tuple[bytes, ...]) -> None:
        """True is all of them."""
        policy = Policy(60, compress=given)

        assert policy.compress == policy.terms.codings == expected
        assert policy.but("x", jitter=0.5).compress == expected

    def test_a_policy_can_be_made_from_another(self) -> None:
        """Options given with a policy replace its own; nothing else changes."""
        base = Policy(60, tags="a", vary="accept")

        changed = policy_of(base, where="x", tags="b")

        assert (60.0, (Template("b"),), (b"accept",)) == (
            changed.lifetime,
            changed.tags,
            changed.vary,
        )
        assert policy_of(base, where="x") is base
        assert dataclasses.replace(base, jitter=0.5).jitter == 0.5

    @pytest.mark.parametrize("options", [{}, {"vary_by": tenant}, {"vary": "x-user"}])
    @pytest.mark.parametrize("guarded", [True, "shared"])
    def test_a_guarded_policy_compresses_where_it_says_so_itself(
        self, guarded: Any, options: dict[str, Any]
    ) -> None:
        """Not because the policy says so from which it is made."""
        if guarded == "shared" and "vary_by" in options:
            guarded = True
        base = Policy(60, compress="gzip")
        both = Policy(60, compress="gzip", guarded=guarded, **options)

        assert both.compress == both.but("x", jitter=0.5).compress == (b"gzip",)
        assert both.but("x", guarded=guarded).compress == (b"gzip",)
        assert CacheConfig().terms_of(both).codings == (b"gzip",)
        assert policy_of(base, where="x", guarded=guarded, **options).compress == ()
        own = policy_of(base, where="x", guarded=guarded, compress="br", **options)
        assert own.compress == (b"br",)

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
            pytest.param(60, {"compress": 3}, ["compress=3", "gzip"], id="compress-number"),
            pytest.param(60, {"compress": [b"br", 3]}, ["compress="], id="compress-mixed"),
            pytest.param(60, {"compress": "deflate"}, ["zstd, br, gzip"], id="compress-unknown"),
            pytest.param(
                60, {"compress": True, "cookies": "a"}, ["compress_personal"], id="compress-cookies"
            ),
            pytest.param(
                60, {"compress": True, "vary": "x-user"}, ["BREACH"], id="compress-credential"
            ),
            pytest.param(
                60, {"compress": True, "vary_by": tenant}, ["vary_by="], id="compress-vary-by"
            ),
            pytest.param(
                60,
                {"compress": True, "guarded": True, "vary": "accept-encoding"},
                ["accept-encoding"],
                id="compress-guarded-vary",
            ),
            pytest.param(
                60,
                {"compress": True, "vary": "accept-encoding"},
                ["accept-encoding"],
                id="compress-vary",
            ),
            pytest.param(60, {"compress_personal": True}, ["compress="], id="compress-nothing"),
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
            pytest.param(
                60, {"methods": "POST"}, ["methods=['POST']", "body=True"], id="post-alone"
            ),
            pytest.param(
                None,
                {"methods": "POST"},
                ["methods=['POST']", "GET among them", "body=True"],
                id="post-alone-of-the-origin",
            ),
            pytest.param(
                None, {"methods": ["GET", "QUERY"]}, ["'QUERY'", "body=True"], id="query-alone"
            ),
            pytest.param(
                60,
                {"methods": ["HEAD", "POST"], "body": True},
                ["methods=['HEAD', 'POST']", "GET among them"],
                id="head-without-get",
            ),
            pytest.param(60, {"body": True}, ["body=True", "methods="], id="body-of-a-get"),
            pytest.param(
                60, {"body": "json", "methods": "GET"}, ["body='json'", "POST"], id="json-of-a-get"
            ),
            pytest.param(60, {"body": 1}, ["body=1", "'json'"], id="body-number"),
            pytest.param(60, {"body": "xml"}, ["body='xml'", "'json'"], id="body-xml"),
            pytest.param(60, {"max_body": 10}, ["max_body=10", "body=True"], id="bound-alone"),
            pytest.param(
                60,
                {"max_body": 0, "body": True, "methods": "POST"},
                ["max_body=0", "at least 1"],
                id="no-bound",
            ),
            pytest.param(
                60,
                {"max_body": True, "body": True, "methods": "POST"},
                ["max_body=True", "bytes"],
                id="bound-boolean",
            ),
            pytest.param(
                60,
                {"max_body": 1.5, "body": True, "methods": "POST"},
                ["max_body=1.5", "bytes"],
                id="bound-fraction",
            ),
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
            pytest.param(60, {"validator": 1}, ["validator=1", "callable"], id="validator"),
            pytest.param(
                None,
                {"validator": tenant},
                ["validator=<function tenant", "ETag", "Policy(60, validator=...)"],
                id="validator-without-a-lifetime",
            ),
            pytest.param(
                60,
                {"validator": tenant, "guarded": True},
                ["validator=<function tenant", "None with guarded=", "before its version"],
                id="validator-behind-a-guard",
            ),
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


def test_policies_of_values_are_remembered_without_their_validators() -> None:
    """A validator is often made for one call: what it holds is not kept."""
    policies = [compute_policy(60, "x", {"validator": lambda: 1}) for _ in range(2)]

    assert policies[0] is policies[1]
