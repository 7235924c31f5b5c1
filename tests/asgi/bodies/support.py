"""What tests of questions with content share: an application that reads what it is asked."""

from collections.abc import Iterable
from typing import Any

from asgi_multitier import Rule
from asgi_multitier._types import Message, Receive, Scope, Send
from tests.support import Cache, Client, Origin, Reply, Visit, respond

JSON = ("content-type", "application/json")


def searches(glob: str = "*", lifetime: float = 300, **options: Any) -> list[Rule]:
    """A rule under which a POST asks for something."""
    return [Rule(glob, lifetime, **{"methods": ["GET", "POST", "QUERY"], "body": True, **options})]


class Chunks(Visit):
    """A request whose content comes in several messages.

    Args:
        chunks: The content of each.
        leaves: Whether the client leaves where more would follow.
        fails: What is raised where more would follow.
    """

    def __init__(
        self, chunks: Iterable[bytes], *, leaves: bool = False, fails: Exception | None = None
    ) -> None:
        super().__init__()
        self.left = list(chunks)
        self.leaves = leaves
        self.fails = fails

    async def receive(self) -> Message:
        if self.left:
            chunk = self.left.pop(0)
            more = bool(self.left or self.leaves or self.fails)
            return {"type": "http.request", "body": chunk, "more_body": more}
        if self.fails:
            raise self.fails
        if self.leaves:
            self.leave()
        await self._gone.wait()
        return {"type": "http.disconnect"}


class Reader(Origin):
    """Reads its whole request, and answers with the number of the call and what it has read.

    Attributes:
        asked: Method and content of each call, and whether its client had left.
        fields: The field lines of each.
        lines: Field lines of the responses.
        status: Their status.
        fails: Whether it raises.
    """

    def __init__(self, *lines: tuple[bytes, bytes]) -> None:
        super().__init__(self.read)
        self.asked: list[tuple[str, bytes]] = []
        self.fields: list[dict[bytes, bytes]] = []
        self.lines = lines
        self.status = 200
        self.fails = False

    async def read(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.asked.append((scope["method"], read + b" and left"))
                return
            read += message.get("body", b"")
            more = message.get("more_body", False)
        self.asked.append((scope["method"], read))
        self.fields.append(dict(scope["headers"]))
        if self.fails:
            raise RuntimeError("it failed")
        number = len(self.asked)
        await respond(send, b"%d:%b" % (number, read), *self.lines, status=self.status)


async def post(
    to: Cache | Client,
    body: bytes = b"q",
    *fields: tuple[str, str],
    target: str = "/x",
    method: str = "POST",
    visit: Visit | None = None,
    length: bool = True,
) -> Reply:
    """A request with this content, and its length unless told otherwise."""
    headers = [*fields]
    if length:
        headers.append(("content-length", str(len(body))))
    client = to.client if isinstance(to, Cache) else to
    return await client.request(method, target, headers, visit=visit or Visit(body=body))
