"""A figure stands in several places, and is the same in each."""

import re
from collections.abc import Iterator
from typing import get_args, get_type_hints

from asgi_multitier.coherence.records import Body
from asgi_multitier.coherence.sqlite import _SCHEMA as LOG
from asgi_multitier.coherence.sqlite_beats import _TABLE as BEATS
from asgi_multitier.tiers.codec import FORMAT
from asgi_multitier.tiers.sqlite import _SCHEMA as ENTRIES
from tests.docs.pages import ROOT, rows

BENCHMARKS = (ROOT / "benchmarks" / "README.md").read_text()
README = (ROOT / "README.md").read_text()


def measured() -> Iterator[list[str]]:
    """The rows of all tables of the benchmarks' page."""
    for line in BENCHMARKS.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_those_of_the_benchmarks() -> None:
    """With their spread, by the name of the case."""
    table = {row[0]: row[2:4] for row in measured() if len(row) == 5}

    assert {name: figures for name, *figures in rows("project/figures", "Requests per second")} == {
        name: table[name] for name, *_ in rows("project/figures", "Requests per second")
    }


def test_stampede_and_propagation_are_those_of_the_benchmarks() -> None:
    """Word for word."""
    table = {row[0]: row[1] for row in measured() if len(row) == 3}

    for heading in ("Many requests at once", "Edits"):
        for name, figure in rows("project/figures", heading):
            assert table[name] == figure


IN_README = {
    "L1 hits, [in front of ASGI]": (
        "memory hit, in front of ASGI",
        "memory hit, in front of ASGI, 2,000 keys",
    ),
    "nginx `proxy_cache` on the same core": (
        "nginx `proxy_cache`",
        "nginx `proxy_cache`, 2,000 keys",
    ),
    "L1 hits through the middleware": (
        "memory hit, wrapped around FastAPI",
        "memory hit, by `add_middleware`",
    ),
    "the same behind a reverse proxy": (
        "memory hit, behind a reverse proxy",
        "memory hit, `Origin`",
        "memory hit, `If-None-Match`: 304",
    ),
    "L2 hits": ("second tier (Valkey), one key", "second tier (Valkey), 2,000 keys"),
    "the route without a cache": ("the FastAPI route without a cache",),
}
"""How a row of README begins, and the cases that its figures are of."""


def test_figures_of_readme_are_those_of_the_page_rounded() -> None:
    """To as many digits as README has."""
    page = {name: ratio for name, ratio, _ in rows("project/figures", "Requests per second")}
    section = README.split("## Figures\n", 1)[1].split("\n## ", 1)[0]
    table = re.findall(r"^\| (.+?) \| ([\d., ]+) \|$", section, re.MULTILINE)

    assert len(table) == len(IN_README)
    for (text, figures), (beginning, cases) in zip(table, IN_README.items(), strict=True):
        assert text.startswith(beginning)
        shown = figures.split(", ")
        assert len(shown) == len(cases)
        for figure, case in zip(shown, cases, strict=True):
            digits = len(figure.partition(".")[2])
            assert figure == f"{float(page[case]):.{digits}f}", case


def test_formats_are_those_of_the_code() -> None:
    """The numbers that a rollout depends on."""
    heading = "What is stored and sent, between releases"
    entries, records, tables = (int(row[1]) for row in rows("project/upgrading", heading))
    names = set(re.findall(r"TABLE IF NOT EXISTS (\w+)", "".join((*LOG, *ENTRIES, BEATS))))

    assert entries == FORMAT
    assert get_args(get_type_hints(Body)["version"]) == (records,)
    assert {name.rpartition("_")[2] for name in names} == {str(tables)}
    assert len(names) == 5
