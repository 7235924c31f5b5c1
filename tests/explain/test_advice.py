"""Each reason has a sentence and a remedy, and both name what exists."""

import inspect
import re

import pytest

from asgi_multitier import CacheConfig, CacheManager, Policy, Rule
from asgi_multitier._about import DOCUMENTATION
from asgi_multitier.config.policy import PolicyOptions
from asgi_multitier.config.process import Settings
from asgi_multitier.explain.advice import ADVICE, advice, advice_of
from asgi_multitier.policy.reasons import Reason

OPTIONS = (
    set(PolicyOptions.__annotations__)
    | set(Settings.__annotations__)
    | set(inspect.signature(CacheManager).parameters)
)

WRITTEN = {
    "public=True": lambda: Policy(60, public=True),
    "ignore_cookies=True": lambda: Policy(60, ignore_cookies=True),
    "partial=True": lambda: Policy.from_origin(partial=True),
    "guarded=True": lambda: Policy(60, guarded=True),
    "guarded='shared'": lambda: Policy(60, guarded="shared"),
    "enabled=True": lambda: Policy(60, enabled=True),
    'mode="on"': lambda: CacheConfig(mode="on"),
    "shadow=True": lambda: Policy(60, shadow=True),
    'overload="wait"': lambda: CacheConfig(overload="wait"),
    'overload="refuse"': lambda: CacheConfig(overload="refuse"),
    "the Rule with None": lambda: Rule("/a", None),
}
"""What a text tells to write, and that it can be written."""


def test_each_reason_has_one() -> None:
    """No reason without a sentence, and no sentence without a reason."""
    assert set(ADVICE) == set(Reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_what_it_names_exists(reason: Reason) -> None:
    """Options are those of a rule, of the process or of the manager; the page is the site's."""
    told = advice_of(reason)
    assert told is not None

    named = set(re.findall(r"\b([a-z][a-z_]+)=", f"{told.sentence} {told.remedy}"))

    assert named <= OPTIONS
    assert told.docs.startswith(DOCUMENTATION)


@pytest.mark.parametrize("reason", list(Reason))
def test_what_it_tells_to_write_is_allowed(reason: Reason) -> None:
    """Each `option=value` in a text is in the table above, and is no error."""
    told = advice_of(reason)
    assert told is not None

    for written in re.findall(r"\b[a-z_]+=[\w\"']+", f"{told.sentence} {told.remedy}"):
        WRITTEN[written]()


@pytest.mark.parametrize("reason", list(Reason))
def test_texts_are_sentences(reason: Reason) -> None:
    """They begin with a capital or a name, and the place that shows them adds the full stop."""
    told = advice_of(reason)
    assert told is not None

    for text in filter(None, (told.sentence, told.remedy)):
        assert not text.endswith((".", " ", ";"))
        assert "  " not in text
    assert advice(reason).startswith(told.sentence)
    assert told.remedy in advice(reason)


@pytest.mark.parametrize("reason", [None, "l1", "unheard-of", ""])
def test_other_words_have_none(reason: str | None) -> None:
    """Such as the tier of a hit."""
    assert advice_of(reason) is None
    assert advice(reason) == ""
