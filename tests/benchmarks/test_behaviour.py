"""What the comparison says of caches: its tables have the questions, and this package's answers."""

import sys
from pathlib import Path

import pytest

from benchmarks.behaviour import one_process, two_processes
from benchmarks.behaviour.contenders import CONTENDERS, US
from benchmarks.behaviour.contenders import one_process as alone
from benchmarks.behaviour.contenders import two_processes as together
from benchmarks.behaviour.report import GROUPS
from tests.docs.pages import rows

pytestmark = pytest.mark.no_cover  # it asks other processes

PAGE = "project/comparison"
TIMED = {
    "a streamed response",
    "runs of a 500 ms endpoint for 500 callers, two processes",
}
"""The answer depends on the machine: where it is too slow, a lease is not waited for."""

HEADINGS = {"decorators": "Decorators", "middlewares": "Middlewares", "proxies": "Proxies"}


def answers(group: str) -> dict[str, str]:
    """What this package answers according to the page."""
    return {row[0]: row[1] for row in rows(PAGE, HEADINGS[group])}


@pytest.mark.parametrize(("group", "names"), GROUPS, ids=HEADINGS)
def test_tables_have_all_questions_and_all_that_were_asked(group: str, names: list[str]) -> None:
    """In their order; proxies are asked alone."""
    asked = [*one_process.QUESTIONS, *([] if group == "proxies" else two_processes.QUESTIONS)]
    table = rows(PAGE, HEADINGS[group])

    assert [row[0] for row in table] == asked
    assert {len(row) for row in table} == {2 + len(list(names))}
    assert all(all(row) for row in table)


def test_tables_agree_on_this_package() -> None:
    """It is a column of each."""
    decorators, middlewares, proxies = (answers(group) for group in HEADINGS)

    assert decorators == middlewares
    assert proxies.items() <= middlewares.items()


def test_this_package_answers_what_the_page_says(tmp_path: Path) -> None:
    """One process, asked over HTTP."""
    told = answers("proxies")
    with alone(CONTENDERS[US], sys.executable, tmp_path) as server:
        found = {
            question: ask(server, tmp_path)
            for question, ask in one_process.QUESTIONS.items()
            if question not in TIMED
        }

    assert found == {question: told[question] for question in found}


@pytest.mark.soak
def test_two_processes_answer_what_the_page_says(tmp_path: Path) -> None:
    """While what they share hangs and is killed."""
    told = answers("decorators")
    with together(CONTENDERS[US], sys.executable, tmp_path) as pair:
        found = {
            question: ask(pair)
            for question, ask in two_processes.QUESTIONS.items()
            if question not in TIMED
        }

    assert found == {question: told[question] for question in found}
