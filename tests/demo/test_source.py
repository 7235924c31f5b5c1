"""The slow source."""

from typing import Any, get_args

import pytest

from demo_app.catalogue import Catalogue
from demo_app.source import DELAYS, Question, SlowSource
from tests.demo.support import DRAFT

pytestmark = pytest.mark.no_cover  # the package has no part in it


@pytest.mark.parametrize("question", get_args(Question))
async def test_question_is_counted_and_takes_its_time(question: Question) -> None:
    """Each query increments its own counter and waits for the time in the table."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    arguments: dict[str, tuple[Any, ...]] = {
        "products": (None, 1),
        "product": (7,),
        "price": (7,),
        "offer": (7, "USD"),
        "search": ("kite", "name", 1),
    }
    source = SlowSource(Catalogue(), sleep=sleep)
    await getattr(source, question)(*arguments.get(question, ()))
    source.close()

    assert [DELAYS[question]] == waits
    assert {question: 1} == dict(+source.calls)


async def test_answer_is_read_before_the_wait() -> None:
    """An edit during the wait is not in the result, which a cache must not store."""

    async def edit_meanwhile(_: float) -> None:
        await source.update(7, DRAFT)

    source = SlowSource(Catalogue(), sleep=edit_meanwhile)
    answer = await source.product(7)
    price = await source.price(7)
    source.close()

    assert (answer.version, price.version) == (1, 2)
