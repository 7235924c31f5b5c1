"""Templates: what is parsed, what is refused, how they are filled."""

from types import SimpleNamespace

import pytest

from asgi_multitier.errors import ConfigError
from asgi_multitier.templates import (
    MAX_TAG_BYTES,
    MAX_TAGS,
    Template,
    fields_of,
    render_texts,
    texts_of,
    within_bounds,
)


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
    """A client's star matches one character; a missing value is free."""
    template = Template("/p/{id}/{rest}*")

    assert template.render_glob({"id": "*a?"}) == "/p/?a?/**"


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
    assert {"a", "b"} == fields_of(texts_of(["{a}", "{b}", tags], option="tags"))


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

    assert render_texts(texts, {"x": "1"}, request) == ["a:1", "ann", "one"]


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
