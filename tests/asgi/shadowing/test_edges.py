"""What is observed at the edges of bounds."""

import json

import pytest

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.asgi.shadowing.places import SMALL
from tests.asgi.shadowing.support import observing
from tests.asgi.shadowing.test_traits import read
from tests.support import respond, scope_of


async def test_tags_are_read_out_of_a_long_content() -> None:
    """Longer than one of which the places are read."""
    body = json.dumps({"id": 7, "text": "x" * (2 * SMALL)}).encode()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, body, (b"content-type", b"application/json"))

    async with observing(answer, (Rule("*", 60, tags_from=["item:{id}"]),)) as seen:
        await seen.cache.get("/a")
        (told,) = seen.finish()

    assert (told.would, told.tags) == ("miss", {"item:7"})


CONTENTLESS = [(204, "miss"), (200, "incomplete")]


@pytest.mark.parametrize(("status", "would"), CONTENTLESS)
async def test_a_length_counts_where_there_is_content(status: int, would: str) -> None:
    """RFC 9110 §8.6: a 204 has none, whatever it says."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"", (b"content-length", b"7"), status=status, length=False)

    async with observing(answer, (Rule("*", 60),)) as seen:
        await seen.cache.get("/a")

    assert seen.would() == [would]


CHOOSING = [("if-none-match", True), ("range", False)]


@pytest.mark.parametrize(("name", "compared"), CHOOSING)
async def test_a_whole_answer_to_a_condition_is_compared(name: str, compared: bool) -> None:
    """One to a range may be a part, or stand for one."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"whole")

    async with observing(answer) as seen:
        await seen.cache.get("/a", [(name, '"x"' if compared else "bytes=0-1")])
        (told,) = seen.finish()

    assert (told.answer is not None) is compared


async def test_the_longest_name_of_a_parameter_is_told() -> None:
    """One more character is too long."""
    scope = scope_of("GET", f"/a?{'n' * 64}=1&{'m' * 65}=1")
    (found,) = await read(scope, policy=Policy(60, query=["a"]))

    assert set(found.query) == {"n" * 64}
