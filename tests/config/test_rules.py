"""Rules and invalidations: what is allowed, what is refused, and the messages."""

from collections.abc import Callable
from typing import Any

import pytest

from asgi_multitier.config.policy import Policy
from asgi_multitier.config.rules import Invalidations, Rule
from asgi_multitier.config.templates import Template
from asgi_multitier.errors import ConfigError


def tenant(request: Any) -> str:
    return "t"


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
