"""Globs and path templates, compared before any request."""

from enum import Enum
from uuid import UUID

import pytest

from asgi_multitier.routing.globs import covers, fill_glob, fill_path, may_meet


@pytest.mark.parametrize(
    ("glob", "template", "meet", "cover"),
    [
        pytest.param("/a", "/a", True, True, id="same"),
        pytest.param("/a", "/b", False, False, id="different"),
        pytest.param("/a", "/ab", False, False, id="shorter"),
        pytest.param("*", "/a/{x}", True, True, id="everything"),
        pytest.param("/p/*", "/p/{id}", True, True, id="star-over-parameter"),
        pytest.param("/p/*", "/p/{id:int}/x", True, True, id="star-over-more"),
        pytest.param("/p/7", "/p/{id}", True, False, id="one-of-many"),
        pytest.param("/p/", "/p/{id}", False, False, id="parameter-is-not-empty"),
        pytest.param("/p/?", "/p/{id}", True, False, id="question-mark-is-one"),
        pytest.param("/p/*?", "/p/{id}", True, True, id="at-least-one"),
        pytest.param("/p/*??", "/p/{id}", True, False, id="at-least-two"),
        pytest.param("/p/a/b", "/p/{id}", False, False, id="parameter-has-no-slash"),
        pytest.param("/p/a/b", "/p/{rest:path}", True, False, id="path-has-slashes"),
        pytest.param("/p/*?", "/p/{rest:path}", True, False, id="path-may-be-empty"),
        pytest.param("/p/*", "/p/{rest:path}", True, True, id="star-over-path"),
        pytest.param("/*/x", "/{a}/{b}", True, False, id="two-parameters"),
        pytest.param("/*/x", "/{a}/y", False, False, id="wrong-end"),
        pytest.param("/a*z", "/{x}", True, False, id="inside-a-parameter"),
        pytest.param("/admin/*", "/{x}", False, False, id="glob-is-deeper"),
    ],
)
def test_what_a_glob_and_a_template_share(
    glob: str, template: str, meet: bool, cover: bool
) -> None:
    """Whether some path belongs to both, and whether all of the template's do."""
    assert meet is may_meet(glob, template)
    assert cover is covers(glob, template)


class Colour(Enum):
    RED = "red"


def test_a_path_is_filled() -> None:
    """Values stand as a client writes them."""
    unit = UUID("12345678123456781234567812345678")

    assert fill_path("/p/{id:int}/{c}", {"id": 7, "c": Colour.RED}) == "/p/7/red"
    assert f"/u/{unit}" == fill_path("/u/{unit:uuid}", {"unit": unit})


@pytest.mark.parametrize(
    ("template", "params", "pattern"),
    [
        pytest.param("/p/{id:int}/{part}", {"id": 7}, "/p/7/*", id="missing-is-free"),
        pytest.param("/p/{id}/{part}", {"id": "*"}, r"/p/\*/*", id="star-is-no-star"),
        pytest.param("/*/{id}", {}, r"/\*/*", id="literal-star"),
        pytest.param("/{a}" * 9, {}, None, id="too-many-stars"),
        pytest.param("/" + "a" * 256 + "{x}", {}, "/" + "a" * 254 + "*", id="too-long"),
    ],
)
def test_a_pattern_is_filled(template: str, params: dict[str, str], pattern: str | None) -> None:
    """Missing places are free, given ones widen nothing."""
    assert pattern == fill_glob(template, params)
