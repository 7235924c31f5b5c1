"""What is observed at the edges of bounds."""

import json

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


async def test_the_longest_name_of_a_parameter_is_told() -> None:
    """One more character is too long."""
    scope = scope_of("GET", f"/a?{'n' * 64}=1&{'m' * 65}=1")
    (found,) = await read(scope, policy=Policy(60, query=["a"]))

    assert set(found.query) == {"n" * 64}
