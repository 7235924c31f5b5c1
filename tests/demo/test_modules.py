"""What the page's modules decide without asking anything: in a real browser, without a server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route

from demo_app.fleet.control import PAGE
from tests.browsers import needs_a_browser, running_browser

pytestmark = [
    needs_a_browser,
    pytest.mark.no_cover,  # the package has no part in it
    pytest.mark.asyncio(loop_scope="module"),
]

SITE = "http://demo.test/"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    """An empty page of a site that is the folder of the page's files."""

    async def answer(route: Route) -> None:
        name = route.request.url.removeprefix(SITE)
        if name:
            await route.fulfill(path=PAGE / name, content_type="text/javascript")
        else:
            await route.fulfill(body="<!doctype html>", content_type="text/html")

    async with running_browser() as browser:
        page = await browser.new_page()
        await page.route(f"{SITE}**", answer)
        await page.goto(SITE)
        yield page


async def call(page: Page, module: str, name: str, *arguments: Any) -> Any:
    """What a function of a module returns."""
    return await page.evaluate(
        """async ([module, name, given]) => {
            const found = (await import(`./${module}.js`));
            return name.split(".").reduce((from, part) => from[part], found)(...given);
        }""",
        [module, name, arguments],
    )


CACHE = "asgi-multitier"


@pytest.mark.parametrize(
    ("field", "source", "words"),
    [
        (f"{CACHE}; hit; ttl=297; detail=l1", "l1", "from the memory of A"),
        (f"{CACHE}; hit; ttl=297; detail=l2", "l2", "from Valkey: A did not have it in memory"),
        (f"{CACHE}; hit; ttl=-3; detail=stale", "l1", "from the cache: stale"),
        (f"{CACHE}; hit", "l1", "from the cache: a hit"),
        (
            f"{CACHE}; fwd=uri-miss; stored; ttl=300",
            "source",
            "the application ran: nothing valid was stored, kept for 5 min",
        ),
        (
            f"{CACHE}; fwd=uri-miss; stored; ttl=10",
            "source",
            "the application ran: nothing valid was stored, kept for 10 s",
        ),
        (f"{CACHE}; fwd=stale", "source", "the application ran: what was stored was too old"),
        (f"{CACHE}; fwd=method", "source", "the application ran: this is an edit"),
        (
            f"{CACHE}; fwd=bypass; detail=credentials",
            "source",
            "the application ran: the cache was bypassed: credentials",
        ),
        (
            f"{CACHE}; fwd=uri-miss; collapsed",
            "coalesced",
            "waited for the run of an identical request",
        ),
        (None, "other", "the cache has no part in this answer"),
    ],
)
async def test_cache_status_is_told_in_words(
    page: Page, field: str | None, source: str, words: str
) -> None:
    """Where an answer came from, and why."""
    assert await call(page, "words", "spoken", field, "A") == {"from": source, "words": words}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("serverTime", "total;dur=0.412", 0.412),
        ("serverTime", "db;dur=53, total;dur=152.000", 152),
        ("serverTime", "subtotal;dur=1", None),
        ("serverTime", None, None),
        ("milliseconds", 0.412, "0.4 ms"),
        ("milliseconds", 152.4, "152 ms"),
        ("milliseconds", 2043, "2.0 s"),
        ("price", 17390, "173.90"),
        ("price", 5, "0.05"),
        ("duration", 10, "10 s"),
        ("duration", 300, "5 min"),
        ("duration", 10800, "3 h"),
        ("times", 1, "once"),
        ("times", 40, "40 times"),
    ],
)
async def test_figures_are_written_for_people(
    page: Page, name: str, value: Any, expected: Any
) -> None:
    """With units."""
    assert await call(page, "words", name, value) == expected


def answer(version: int, started: float, ended: float, words: str = "memory") -> dict[str, Any]:
    """An answer of B, as far as it is compared."""
    return {
        "name": "B", "words": words, "version": version, "old": False,
        "started": started, "ended": ended, "server": 1, "browser": ended - started,
    }  # fmt: skip


async def test_answers_that_differ_in_their_times_alone_are_one_line(page: Page) -> None:
    """With the median of each time; one of another source stands between them."""
    answers = [answer(2, 0, 9), answer(2, 10, 12), answer(2, 12, 15), answer(3, 15, 16)]
    answers += [answer(3, 16, 17, "Valkey"), answer(3, 17, 18)]
    lines = await call(page, "words", "grouped", answers)

    assert [(line["first"], line["count"], line["browser"]) for line in lines] == [
        (1, 3, 3), (4, 1, 1), (5, 1, 1), (6, 1, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(
            [answer(2, 100, 104), answer(2, 104, 106)],
            {"answers": 2, "old": 0, "oldFor": 0, "firstAfter": 4},
            id="never old",
        ),
        pytest.param(
            [answer(1, 100, 104), answer(1, 104, 106), answer(2, 106, 109)],
            {"answers": 3, "old": 2, "oldFor": 6, "firstAfter": 9},
            id="old at first",
        ),
        pytest.param(
            [answer(1, 90, 130), answer(2, 101, 102)],
            {"answers": 1, "old": 0, "oldFor": 0, "firstAfter": 2},
            id="asked before the edit was answered",
        ),
        pytest.param([answer(1, 100, 104)], {"answers": 1, "old": 1, "oldFor": 4}, id="never new"),
    ],
)
async def test_old_prices_are_those_after_the_edit_was_answered(
    page: Page, answers: list[dict[str, Any]], expected: dict[str, float]
) -> None:
    """The edit to version 2 was answered at 100."""
    verdict = await call(
        page, "versions", "Versions.verdict", answers, {"version": 2, "ended": 100}
    )

    assert {name: value for name, value in verdict.items() if value is not None} == expected


async def test_an_answer_is_old_by_what_had_been_acknowledged_before_it_was_asked_for(
    page: Page,
) -> None:
    """In the lanes, which go on during edits."""
    found = await page.evaluate(
        """async (answers) => {
            const { Versions } = await import("./versions.js");
            const versions = new Versions();
            versions.acknowledge(2, 100);
            versions.acknowledge(3, 200);
            return answers.map((answer) => versions.isOld(answer));
        }""",
        [answer(1, 99, 150), answer(1, 100, 101), answer(2, 199, 250), answer(2, 201, 202)],
    )

    assert found == [False, True, False, True]


RUNS = {"runs": True, "why": "", "trusted": True, "queued": 0}
LATE = {**RUNS, "trusted": False, "queued": 3}
GONE = {**RUNS, "runs": False, "why": "it was killed here"}


@pytest.mark.parametrize(
    ("valkey", "a", "b", "title", "line"),
    [
        pytest.param(
            True, RUNS, RUNS, "Everything runs.",
            "On the other instance it is in force within 10 ms (99 of 100 edits).",
            id="whole",
        ),
        pytest.param(
            False, LATE, RUNS, "The second tier is away: Valkey was stopped.",
            "An edit on A is in force on A at once; for B it is queued: 3 dropped names wait now. "
            "B shows the old price for 8 s at most.",
            id="no valkey",
        ),
        pytest.param(
            True, RUNS, GONE, "Instance B does not answer: it was killed here; restart it.",
            "A goes on: from its memory, from Valkey and from the application.",
            id="no b",
        ),
        pytest.param(
            True, LATE, RUNS, "Valkey answers again.", "A will follow it by itself.",
            id="valkey is back",
        ),
        pytest.param(
            False, GONE, RUNS,
            "Instance A does not answer: it was killed here; restart it. "
            "The second tier is away: Valkey was stopped.",
            "After its restart A begins with an empty memory, and asks the application.",
            id="no a and no valkey",
        ),
    ],
)  # fmt: skip
async def test_promises_are_those_of_the_parts_that_run(
    page: Page, valkey: bool, a: Any, b: Any, title: str, line: str
) -> None:
    """Each by name."""
    state = {"valkey": {"runs": valkey}, "A": a, "B": b}
    told = await call(page, "promises", "promises", state)

    assert told["title"] == title
    assert any(line in one for one in told["lines"])


async def test_nothing_is_promised_of_what_does_not_run(page: Page) -> None:
    """Neither answers from Valkey nor prices of an instance that is away."""
    state = {"valkey": {"runs": False}, "A": LATE, "B": GONE}
    text = " ".join((await call(page, "promises", "promises", state))["lines"])

    assert "in force on A at once; for B it is queued: 3 dropped names wait now." in text
    assert "from Valkey" not in text
    assert "in Valkey" not in text
    assert "B shows" not in text
    assert "An edit on B" not in text


@pytest.mark.parametrize(
    ("wrong", "findings", "sentence"),
    [
        pytest.param(
            6,
            [{"cause": "field", "name": "accept-currency"}],
            "Of 11 answers that the cache would have given, 6 would have been wrong: "
            "they differ by the field accept-currency. Of the repaired route's 8, 0. "
            "No customer got a wrong one.",
            id="named",
        ),
        pytest.param(
            1,
            [{"cause": "unknown", "name": ""}],
            "Of 11 answers that the cache would have given, 1 would have been wrong: "
            "these requests are too few to tell why. Of the repaired route's 8, 0. "
            "No customer got a wrong one.",
            id="not known",
        ),
        pytest.param(
            0,
            [],
            "Of 11 answers that the cache would have given, none would have been wrong so far.",
            id="none",
        ),
    ],
)
async def test_what_shadow_has_found_is_one_sentence(
    page: Page, wrong: int, findings: Any, sentence: str
) -> None:
    """With the cause where there is one."""
    careless = {"hits": 11, "wrong": wrong, "findings": findings}
    repaired = {"hits": 8, "wrong": 0, "findings": []}

    assert await call(page, "shadow", "tell", careless, repaired) == sentence
