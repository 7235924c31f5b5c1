"""The origin's `send`, message by message."""

import asyncio

import pytest

from asgi_multitier._types import Headers, Message
from asgi_multitier.asgi.capture import Capture, Discard, ResponseHandler
from asgi_multitier.asgi.client import Client, ClientGone
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.storing import Store
from tests.policy.support import stored
from tests.support import Visit

STORE = stored(("cache-control", "max-age=60"))
START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"X-A", b"1")]}
INSTEAD: Message = {"type": "http.response.start", "status": 299, "headers": []}


def body(content: bytes = b"", *, more: bool = False) -> Message:
    """A body message."""
    return {"type": "http.response.body", "body": content, "more_body": more}


class Handler(ResponseHandler):
    """Notes what it is asked, and decides as it was told."""

    def __init__(self, verdict: Store | Reason | Discard = STORE) -> None:
        self.verdict = verdict
        self.notes: list[object] = []

    def judge(self, status: int, headers: Headers) -> Store | Reason | Discard:
        self.notes.append(("judge", status, headers))
        return self.verdict

    def pass_on(self, reason: Reason, status: int, headers: Headers) -> Headers:
        self.notes.append(("pass", reason))
        return (*headers, (b"x-passed", b"1"))

    def stream_headers(self, headers: Headers) -> Headers:
        self.notes.append("stream_headers")
        return (*headers, (b"x-opened", b"1"))

    def on_streaming(self) -> None:
        self.notes.append("on_streaming")

    def commit(self, store: Store, status: int, headers: Headers, body: bytes) -> None:
        self.notes.append(("commit", body))

    def replies(self) -> list[Message]:
        self.notes.append("replies")
        return [INSTEAD, body(b"instead")]

    def on_incomplete(self, reason: Reason) -> None:
        self.notes.append(("on_incomplete", reason))


def capture(handler: Handler, *, limit: int = 100, broken: bool = False) -> tuple[Capture, Visit]:
    """A capture for a client, and the client's end."""
    visit = Visit(broken=broken)
    return Capture(handler, Client(visit.receive, visit.send), limit=limit), visit


async def test_a_whole_response_is_committed_before_its_client_hears_of_it() -> None:
    """One body message: the handler commits, and what it gives is all that the client gets."""
    handler = Handler()
    taken, visit = capture(handler)
    await taken.send(START)
    assert visit.reply.messages == []
    assert taken.started
    await taken.send(body(b"abc"))

    assert handler.notes == [("judge", 200, ((b"x-a", b"1"),)), ("commit", b"abc"), "replies"]
    assert visit.reply.messages == [INSTEAD, body(b"instead")]


async def test_pieces_are_sent_as_they_come_and_committed_before_the_last() -> None:
    """With more to come the start goes out, and each piece; the commit is before the last."""
    handler = Handler()
    taken, visit = capture(handler)
    await taken.send(START)
    await taken.send(body(b"a", more=True))
    assert [m["type"][-5:] for m in visit.reply.messages] == ["start", ".body"]
    assert visit.reply.get("x-opened") == b"1"
    await taken.send(body(b"b", more=True))
    assert visit.reply.body == b"ab"
    await taken.send(body(b"c"))

    assert handler.notes[1:] == ["on_streaming", "stream_headers", ("commit", b"abc")]
    assert visit.reply.body == b"abc"
    assert visit.reply.complete


async def test_a_body_in_pieces_whose_length_is_known_is_held() -> None:
    """When all promised bytes are there only the empty last message is missing."""
    handler = Handler()
    taken, visit = capture(handler)
    await taken.send({**START, "headers": [(b"content-length", b"3")]})
    await taken.send(body(b"abc", more=True))
    assert visit.reply.messages == []
    await taken.send(body())

    assert handler.notes[1:] == [("commit", b"abc"), "replies"]


async def test_what_follows_a_committed_response_is_ignored() -> None:
    """An application that sends too much harms nobody."""
    handler = Handler()
    taken, visit = capture(handler)
    for message in (START, body(b"abc"), body(b"more"), START):
        await taken.send(message)
    await taken.finish()

    assert len(visit.reply.messages) == 2
    assert len(handler.notes) == 3


async def test_what_is_not_stored_is_passed_from_its_first_message_on() -> None:
    """Status, lines and pieces go through; the handler adds its line."""
    handler = Handler(Reason.PRIVATE)
    taken, visit = capture(handler)
    await taken.send(START)
    assert taken.streaming
    assert visit.reply.get("x-passed") == b"1"
    await taken.send(body(b"a", more=True))
    await taken.send({"type": "http.response.trailers", "headers": []})
    await taken.send(body(b"b"))

    assert handler.notes[1:] == [("pass", Reason.PRIVATE)]
    assert [m["type"] for m in visit.reply.messages[1:]] == [
        "http.response.body",
        "http.response.trailers",
        "http.response.body",
    ]


async def test_another_response_may_take_its_place() -> None:
    """Discarded: the client gets what the handler gives, and none of the origin's messages."""
    handler = Handler(Discard.DISCARD)
    taken, visit = capture(handler)
    for message in (START, body(b"a", more=True), body(b"b")):
        await taken.send(message)
    await taken.finish()

    assert visit.reply.messages == [INSTEAD, body(b"instead")]


@pytest.mark.parametrize(
    ("messages", "reason", "content"),
    [
        ([{**START, "trailers": True}, body(b"a")], Reason.TRAILERS, b"a"),
        ([{**START, "headers": [(b"content-length", b"101")]}], Reason.OVERSIZED, b""),
        ([START, body(b"a" * 101)], Reason.OVERSIZED, b"a" * 101),
        (
            [START, body(b"a" * 60, more=True), body(b"b" * 60)],
            Reason.OVERSIZED,
            b"a" * 60 + b"b" * 60,
        ),
        ([START], Reason.INCOMPLETE, b""),
        ([START, body(b"a", more=True)], Reason.INCOMPLETE, b"a"),
        ([{**START, "headers": [(b"content-length", b"2")]}, body(b"a")], Reason.INCOMPLETE, b"a"),
        ([START, {"type": "x.unknown"}, body(b"a")], Reason.NOT_UNDERSTOOD, b"a"),
        ([START, body(b"a", more=True), {"type": "x.unknown"}], Reason.NOT_UNDERSTOOD, b"a"),
        ([START, START], Reason.NOT_UNDERSTOOD, None),
        (
            [
                {**START, "headers": [(b"content-length", b"3")]},
                body(b"a", more=True),
                body(b"bc", more=True),
                body(b"d"),
            ],
            Reason.INCOMPLETE,
            b"abcd",
        ),
        (
            [
                {**START, "headers": [(b"content-length", b"3")]},
                body(b"abc", more=True),
                {"type": "x.unknown"},
                body(b""),
            ],
            Reason.NOT_UNDERSTOOD,
            b"abc",
        ),
    ],
)
async def test_what_turns_out_not_to_be_storable_reaches_its_client_whole(
    messages: list[Message], reason: Reason, content: bytes | None
) -> None:
    """Once, with the first reason, and not a byte twice or lost."""
    handler = Handler()
    taken, visit = capture(handler)
    for message in messages:
        await taken.send(message)
    await taken.finish()

    assert [note for note in handler.notes if note[0] == "pass"] == [("pass", reason)]  # type: ignore[index]
    assert not any(note[0] == "commit" for note in handler.notes)  # type: ignore[index]
    if content is not None:
        assert visit.reply.body == content


async def test_nothing_but_the_beginning_is_kept_of_what_is_too_large() -> None:
    """Beyond the limit the pieces are let go."""
    taken, _ = capture(Handler(), limit=10)
    await taken.send(START)
    for _ in range(5):
        await taken.send(body(b"12345", more=True))

    assert taken._body == []


async def test_messages_before_the_start_pass() -> None:
    """Early hints and the like."""
    taken, visit = capture(Handler())
    hint = {"type": "http.response.early_hint", "links": []}
    await taken.send(hint)

    assert visit.reply.messages == [hint]
    assert not taken.started


async def test_nothing_answered_is_nothing_passed() -> None:
    """An origin that returns without a word leaves the handler alone."""
    handler = Handler()
    taken, visit = capture(handler)
    await taken.finish()

    assert handler.notes == []
    assert visit.reply.messages == []


@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_lost_client_does_not_end_what_others_may_want(pieces: int) -> None:
    """The copy is completed; the OSError stops here."""
    handler = Handler()
    taken, _ = capture(handler, broken=True)
    await taken.send(START)
    if pieces == 2:
        await taken.send(body(b"a", more=True))
    await taken.send(body(b"b"))

    assert ("commit", b"ab"[2 - pieces :]) in handler.notes


async def test_a_lost_client_ends_what_is_its_own() -> None:
    """The origin gets the OSError of the client's `send`."""
    taken, _ = capture(Handler(Reason.PRIVATE), broken=True)
    with pytest.raises(OSError, match="client is gone"):
        await taken.send(START)


@pytest.mark.parametrize("background", [False, True])
async def test_what_nobody_hears_ends_as_soon_as_more_would_follow(background: bool) -> None:
    """Without a client a passed response may be finished, not streamed on."""
    visit = Visit()
    client = Client(visit.receive, visit.send)
    client.leave()
    for messages in ([body(b"a", more=True)], [body(b"a")]):
        taken = Capture(Handler(Reason.PRIVATE), None if background else client, limit=10)
        await taken.send(START)
        if messages[0]["more_body"]:
            with pytest.raises(ClientGone):
                await taken.send(messages[0])
        else:
            await taken.send(messages[0])
        await taken.finish()

    assert visit.reply.messages == []


async def test_body_may_be_any_bytes_like() -> None:
    """ASGI says bytes; a bytearray that its owner goes on using must not change the copy."""
    handler = Handler()
    taken, _ = capture(handler)
    buffer = bytearray(b"abc")
    await taken.send(START)
    await taken.send({"type": "http.response.body", "body": buffer, "more_body": True})
    buffer[:] = b"xyz"
    await taken.send({"type": "http.response.body"})

    assert ("commit", b"abc") in handler.notes


async def test_forward_sends_in_the_applications_place() -> None:
    """For an origin that failed before it said anything."""
    taken, visit = capture(Handler())
    await taken.forward(INSTEAD)

    assert visit.reply.messages == [INSTEAD]


async def test_receive_gives_an_empty_body_and_then_blocks_until_the_run_is_over() -> None:
    """A part of the application that still listens when it has ended gets a disconnect."""
    taken = Capture(Handler(), None, limit=10)
    async with taken:
        assert (await taken.receive())["type"] == "http.request"
        listening = asyncio.create_task(taken.receive())
        await asyncio.sleep(0)
        assert not listening.done()

    assert await listening == {"type": "http.disconnect"}


async def test_receive_gives_a_disconnect_when_the_response_is_declined() -> None:
    """No client gets the response, so the application may stop."""

    class Declining(Handler):
        def declines(self, reason: Reason, status: int, headers: Headers) -> bool:
            return True

    taken = Capture(Declining(Reason.PRIVATE), None, limit=10)
    await taken.receive()
    listening = asyncio.create_task(taken.receive())
    await taken.send(START)

    assert await listening == {"type": "http.disconnect"}
