"""The layer that tells how long the server took."""

from typing import Any

import pytest
from starlette.types import Message

from demo_app.server_timing import ServerTiming

pytestmark = pytest.mark.no_cover  # the package has no part in it


async def answer(scope: Any, _receive: Any, send: Any) -> None:
    """An application."""
    await send(
        {"type": f"{scope['type']}.response.start", "status": 200, "headers": [(b"a", b"b")]}
    )
    await send({"type": f"{scope['type']}.response.body", "body": b"x"})


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("http", [(b"a", b"b"), (b"server-timing", b"total;dur=412.500")]),
        ("websocket", [(b"a", b"b")]),
    ],
)
async def test_time_until_the_head_is_told(kind: str, headers: list[tuple[bytes, bytes]]) -> None:
    """In milliseconds, as a field of the answer; nothing else is touched."""
    sent: list[Message] = []
    readings = iter((10.0, 10.4125))

    async def send(message: Message) -> None:
        sent.append(message)

    await ServerTiming(answer, lambda: next(readings))({"type": kind}, None, send)  # type: ignore[arg-type]

    assert [message["type"] for message in sent] == [
        f"{kind}.response.start",
        f"{kind}.response.body",
    ]
    assert sent[0]["headers"] == headers
    assert sent[1] == {"type": f"{kind}.response.body", "body": b"x"}
