"""Which templates meet: patterns by their heads find what comparing all pairs finds."""

import random

import pytest

from asgi_multitier.explain.heads import ByHead
from asgi_multitier.routing.globs import globs_meet, may_meet, takes, templates_meet
from asgi_multitier.selectors import escape_pattern, glob_matches
from asgi_multitier.selectors.patterns import literal_head

MEET = [
    ("product:*", "product:*", True),
    ("product:*", "product:1", True),
    ("product:1", "product:1", True),
    ("product:1", "product:2", False),
    ("products:*", "product:*", False),
    ("*", "anything:*", True),
    ("a*c", "*bc", True),
    ("a*c", "b*", False),
    ("a?c", "abc", True),
    ("a?c", "ac", False),
    ("*:x", "y:*", True),
    ("\\*", "a", False),
    ("\\*", "\\*", True),
]


@pytest.mark.parametrize(("one", "other", "meets"), MEET)
def test_patterns(one: str, other: str, meets: bool) -> None:
    """In both directions."""
    assert globs_meet(one, other) is meets
    assert globs_meet(other, one) is meets


TEMPLATES = [
    ("/a/{x}", "/a/{y}", True),
    ("/a/{x}", "/a/b", True),
    ("/a/{x}", "/a/b/c", False),
    ("/a/{x:path}", "/a/b/{y}", True),
    ("/a", "/b", False),
    ("/{x}/b", "/a/{y}", True),
    ("/{x}/b", "/a/c", False),
]


@pytest.mark.parametrize(("one", "other", "meets"), TEMPLATES)
def test_path_templates(one: str, other: str, meets: bool) -> None:
    """In both directions."""
    assert templates_meet(one, other) is meets
    assert templates_meet(other, one) is meets


TAKES = [
    ("/a/{x}", "/a/1", True),
    ("/a/{x}", "/a/", False),
    ("/a/{x}", "/a/1/2", False),
    ("/a/{x:path}", "/a/1/2", True),
    ("/a/{x:int}.json", "/a/1.json", True),
    ("/a.b", "/axb", False),
    ("/a/{x:path}", "/a/1\n2", True),
]


@pytest.mark.parametrize(("template", "path", "taken"), TAKES)
def test_paths(template: str, path: str, taken: bool) -> None:
    """As the comparison of patterns says."""
    assert takes(template, path) is taken
    assert may_meet(escape_pattern(path), template) is taken


@pytest.mark.parametrize("seed", range(5))
def test_what_is_near_is_all_that_may_meet(seed: int) -> None:
    """Random patterns and texts: none that meets is left out, and none comes twice."""
    chance = random.Random(seed)

    def made(characters: str) -> str:
        return "".join(chance.choice(characters) for _ in range(chance.randrange(6)))

    patterns = [made("ab*:") for _ in range(60)]
    index = ByHead((literal_head(pattern), (n, pattern)) for n, pattern in enumerate(patterns))
    for _ in range(60):
        text, pattern = made("ab:"), made("ab*:")
        for head, meets in (
            (text, lambda one, text=text: glob_matches(one, text)),
            (literal_head(pattern), lambda one, other=pattern: globs_meet(one, other)),
        ):
            near = list(index.near(head))
            assert len(near) == len(set(near))
            assert {n for n, one in near if meets(one)} == {
                n for n, one in enumerate(patterns) if meets(one)
            }
