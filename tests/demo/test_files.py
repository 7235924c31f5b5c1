"""The page's files: what may not be in them."""

import re

import pytest

from demo_app.fleet.control import PAGE

pytestmark = pytest.mark.no_cover  # the package has no part in it

SCRIPTS = {path.name: path.read_text() for path in sorted(PAGE.glob("*.js"))}
MARKUP = (PAGE / "index.html").read_text()
STYLE = (PAGE / "style.css").read_text()

READ_AS_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function"
    r"|\.cssText|setAttribute\(\"(?:style|on)|http"
)
"""Ways in which a text could become markup, a script or a style, or come from elsewhere."""


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_text_is_read_as_markup(name: str) -> None:
    """Elements are built, and texts are set as texts; no script names another host."""
    assert READ_AS_MARKUP.findall(SCRIPTS[name]) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_modules_import_their_neighbours_alone(name: str) -> None:
    """There is no build, and nothing is loaded from elsewhere."""
    imported = re.findall(r"""from ["']([^"']+)["']""", SCRIPTS[name])

    assert [one for one in imported if one.removeprefix("./") not in SCRIPTS] == []
    assert all(one.startswith("./") for one in imported)


def test_markup_names_its_own_files_alone() -> None:
    """No other host, no script or style inside, no handler."""
    assert {"style.css", "app.js", "data:,"} == set(re.findall(r'(?:src|href)="([^"]*)"', MARKUP))
    assert re.findall(r"<style|style=| on\w+=|<script(?![^>]* src=)", MARKUP) == []
    assert re.findall(r"url\(|@import|//", MARKUP + STYLE) == []


def test_each_place_that_a_script_fills_is_there() -> None:
    """By its name; and no name is given twice."""
    given = re.findall(r' id="([\w-]+)"', MARKUP)
    used = {
        name
        for script in SCRIPTS.values()
        for name in re.findall(r'(?:byId|say)\("([\w-]+)"|whenPressed\(\w+, "([\w-]+)"', script)
        for name in name
        if name
    }

    assert len(given) == len(set(given))
    assert used - set(given) == set()


def luminance(colour: str) -> float:
    """The relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


COLOURS = dict(re.findall(r"--([\w-]+): light-dark\((#\w+, #\w+)\)", STYLE))
TEXTS = ("ink", "soft", "accent", "good", "warn", "bad", "l1", "l2", "coalesced", "source", "other")
PAIRS = [(text, ground) for text in TEXTS for ground in ("ground", "card")]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), [*PAIRS, ("on-accent", "accent")])
def test_texts_stand_out(text: str, ground: str, scheme: int) -> None:
    """By 4.5 to 1 (WCAG 2.2, 1.4.3 AA)."""
    light = [luminance(COLOURS[name].split(", ")[scheme]) for name in (text, ground)]

    assert (max(light) + 0.05) / (min(light) + 0.05) >= 4.5
