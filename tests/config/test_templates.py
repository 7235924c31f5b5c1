"""Templates: what is parsed, what is refused, how they are filled."""

from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from asgi_multitier.config.templates import (
    MAX_TAG_BYTES,
    MAX_TAGS,
    Template,
    render_texts,
    texts_of,
    within_bounds,
)
from asgi_multitier.errors import ConfigError, InvalidationError


@pytest.mark.parametrize(
    ("text", "values", "rendered"),
    [
        pytest.param("products", {}, "products", id="no-place"),
        pytest.param("product:{id}", {"id": "7"}, "product:7", id="one-place"),
        pytest.param("{a}-{b}-{a}", {"a": "1", "b": "2"}, "1-2-1", id="repeated-place"),
        pytest.param("lang:{lang}", {}, "lang:", id="missing-renders-empty"),
        pytest.param("{{x}}:{id}", {"id": "7"}, "{x}:7", id="doubled-braces"),
        pytest.param("{page-size}", {"page-size": "9"}, "9", id="name-with-a-dash"),
        pytest.param("{id}", {"id": "{x}"}, "{x}", id="value-is-not-a-template"),
    ],
)
def test_template_is_filled_from_values(text: str, values: dict[str, str], rendered: str) -> None:
    """Each place takes its value, everything else stands for itself."""
    assert rendered == Template(text).render(values)


@pytest.mark.parametrize(
    "text",
    ["", "{", "a}", "{}", "{id:int}", "{id!r}", "{0", None, 7, b"x"],
)
def test_wrong_template_names_option_value_and_place(text: object) -> None:
    """Anything but a text with plain places is refused, with all that is needed to find it."""
    with pytest.raises(ConfigError) as caught:
        Template(text, option="tags", where="route /x")

    assert f"route /x: tags={text!r} is not allowed; expected" in str(caught.value)


def test_fields_are_in_order_without_repeats() -> None:
    """A template knows its parameters."""
    assert Template("{b}{a}{b}").fields == ("b", "a")


def test_pattern_takes_no_stars_from_values() -> None:
    """A client's star is a star, also after a backslash; a missing value is free."""
    template = Template("/p/{id}/{rest}*")

    assert list(template.each_pattern({"id": ["*a?"]})) == [r"/p/\*a\?/**"]
    assert list(Template("c:\\{x}*").each_pattern({"x": ["*"]})) == [r"c:\\\**"]


def test_every_value_of_a_parameter_becomes_a_text() -> None:
    """Each with each, where several parameters have several; none is as one that is missing."""
    template = Template("{a}:{b}")

    assert list(template.each({"a": ["1", "2"], "b": ["x", "y"]})) == ["1:x", "1:y", "2:x", "2:y"]
    assert list(template.each({"a": [], "b": ["x"]})) == [":x"]


def test_more_texts_than_can_be_dropped_are_an_error() -> None:
    """Two parameters with many values each: they are not even made."""
    many = [str(number) for number in range(1_000)]

    with pytest.raises(InvalidationError, match="more than 10000"):
        render_texts(texts_of("{a}:{b}", option="tags"), {"a": many, "b": many}, None)


async def awaited(request: object) -> list[str]:
    return []


async def iterated(request: object) -> AsyncIterator[str]:
    yield ""


class Asking:
    async def __call__(self, request: object, more: str = "") -> list[str]:
        return []


@pytest.mark.parametrize(
    "function",
    [awaited, iterated, Asking(), partial(awaited), partial(Asking(), more=""), Asking().__call__],
    ids=["function", "generator", "object", "partial", "partial object", "method"],
)
def test_an_async_function_is_refused_where_it_is_given(function: Any) -> None:
    """With the words that say what to write instead."""
    with pytest.raises(ConfigError, match=r"plain function.*await cache.invalidate_tags"):
        texts_of([function], option="tags", where="@cached on x")


@pytest.mark.parametrize(
    "function",
    [lambda _: awaited(None), lambda _: None, lambda _: 7, lambda _: b"x", lambda _: ["a", None]],
    ids=["coroutine", "None", "number", "bytes", "not all texts"],
)
def test_what_a_function_returns_must_be_texts(function: Any) -> None:
    """Also where its being async cannot be seen beforehand; nothing is left that waits."""
    with pytest.raises(ConfigError, match="texts returned"):
        render_texts(texts_of(function, option="tags"), {}, None)


def test_templates_compare_by_text() -> None:
    """Equal texts are equal templates."""
    assert Template("a:{b}") == Template("a:{b}")
    assert Template("a:{b}") != Template("a:{c}")
    assert Template("a") != "a"
    assert hash(Template("a")) == hash(Template("a"))
    assert repr(Template("a")) == "Template('a')"


def test_texts_may_be_one_or_several() -> None:
    """One text, one function, a template and lists of these are taken."""

    def tags(request: object) -> list[str]:
        return []

    template = Template("t")

    assert (Template("a"),) == texts_of("a", option="tags")
    assert (tags,) == texts_of(tags, option="tags")
    assert (Template("a"), tags, template) == texts_of(["a", tags, template], option="tags")


@pytest.mark.parametrize("value", [7, None, {"a": 1}, [7], [None]])
def test_other_texts_are_refused(value: object) -> None:
    """What is neither text nor callable is named in the error."""
    with pytest.raises(ConfigError, match="tags="):
        texts_of(value, option="tags")


def test_functions_take_the_request_and_empty_texts_are_left_out() -> None:
    """A function returns one text or several; nothing empty and nothing twice remains."""
    request = SimpleNamespace(user="ann")
    texts = texts_of(
        ["a:{x}", "{y}", lambda r: [r.user, "", r.user], lambda r: "one"], option="tags"
    )

    assert render_texts(texts, {"x": ["1"]}, request) == ["a:1", "ann", "one"]


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        pytest.param(["x" * MAX_TAG_BYTES], True, id="longest"),
        pytest.param(["x" * (MAX_TAG_BYTES + 1)], False, id="too-long"),
        pytest.param(["ü" * (MAX_TAG_BYTES // 2 + 1)], False, id="bytes-count"),
        pytest.param([str(n) for n in range(MAX_TAGS)], True, id="most"),
        pytest.param([str(n) for n in range(MAX_TAGS + 1)], False, id="too-many"),
    ],
)
def test_tags_are_bounded(tags: list[str], fits: bool) -> None:
    """64 tags of 128 bytes each are the most that a response carries."""
    assert fits is within_bounds(tags)


def test_a_tag_that_cannot_be_written_is_out_of_bounds() -> None:
    """No invalidation could name it: what carries it is not stored."""
    assert within_bounds(["t\x00", "\u00e9" * 64])
    assert not within_bounds(["\udc80"])
    assert not within_bounds(["\u00e9" * 65])
