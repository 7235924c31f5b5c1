"""The page's files: what may not be in them, and that who installs the package has them."""

import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from asgi_multitier.admin.files import FOLDER

ROOT = Path(__file__).parents[3]
FILES = sorted(FOLDER.iterdir())
SCRIPTS = {path.name: path.read_text() for path in FILES if path.suffix == ".js"}
MARKUP = (FOLDER / "index.html").read_text()
STYLE = (FOLDER / "style.css").read_text()

MAX_BYTES = 72_000

READ_AS_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function"
    r"|\.href =|\.cssText|setAttribute\(\"(?:style|on)"
)
"""Ways in which a text of the cache could become markup, a script or a style."""


def test_they_are_few_bytes_together() -> None:
    """A page of operations opens at once, through any tunnel."""
    assert sum(path.stat().st_size for path in FILES) < MAX_BYTES


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_text_is_read_as_markup(name: str) -> None:
    """Elements are built, and texts are set as texts."""
    assert READ_AS_MARKUP.findall(SCRIPTS[name]) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_modules_import_their_neighbours_alone(name: str) -> None:
    """By relative names, so that the page works wherever it is mounted."""
    imported = re.findall(r"""from ["']([^"']+)["']""", SCRIPTS[name])

    assert [one for one in imported if one.removeprefix("./") not in SCRIPTS] == []
    assert all(one.startswith("./") for one in imported)


def test_markup_names_files_of_its_own_folder_alone() -> None:
    """No other host, no script or style inside, no handler."""
    named = re.findall(r'(?:src|href)="([^"]*)"', MARKUP)

    assert {"style.css", "app.js", "data:,"} == set(named)
    assert re.findall(r"<style|style=| on\w+=|<script(?![^>]* src=)", MARKUP) == []
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "//" not in MARKUP + STYLE


def luminance(colour: str) -> float:
    """The relative luminance of `#rgb` or `#rrggbb` (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


COLOURS = dict(re.findall(r"--([\w-]+): light-dark\((#\w+, #\w+)\)", STYLE))
ON = [
    (text, ground)
    for text in ("ink", "soft", "accent", "good", "warn", "bad")
    for ground in ("ground", "card")
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), [*ON, ("on-accent", "accent")])
def test_texts_stand_out(text: str, ground: str, scheme: int) -> None:
    """By 4.5 to 1 (WCAG 2.2, 1.4.3 AA)."""
    light = [luminance(COLOURS[name].split(", ")[scheme]) for name in (text, ground)]

    assert (max(light) + 0.05) / (min(light) + 0.05) >= 4.5


def test_wheel_and_sdist_hold_them(tmp_path: Path) -> None:
    """Each file of the page, in both."""
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    [sdist] = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = {f"asgi_multitier/admin/page/{path.name}" for path in FILES}

    with zipfile.ZipFile(wheel) as archive:
        assert names <= set(archive.namelist())
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
        assert names <= inside
