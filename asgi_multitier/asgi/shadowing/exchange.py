"""One request that the application answers, and what is noted of it meanwhile."""

from typing import Any, Final

from ..._types import Headers, Message, Receive, Scope, Send
from ...engine.mutations import UnderWay
from ...entry import Entry, Slot, Variants
from ...policy.headers import normalised
from ...policy.reasons import Reason
from ...shadow import Answer
from ..layers import Outside
from ..plan import Plan
from ..request import Request
from .answers import Content

HIT: Final = "hit"
STALE: Final = "stale"
MISS: Final = "miss"
COALESCED: Final = "coalesced"
"""What the cache would have made of a request; any other word is a reason."""


class Exchange:
    """One request and its answer, as they pass.

    Args:
        plan: The plan of its target.
        scope: The request, as it came.
        send: The client's channel.
        content: Takes the content of the answer.
        began: A reading of the clock.
        asked_at: Unix seconds.

    Attributes:
        plan, scope, content, began, asked_at: As above.
        request: The request with its key; None where it would not meet the cache.
        outside: What the layers around the cache keep of it; None where nothing would be stored.
        would: What the cache would have made of it.
        key: The key under which it looks, or would.
        slot: What would have answered it, or could have if it were fresh; None for nothing.
        renews: Whether its answer takes the place of what is stored.
        marker: What is known of the variants of its URL.
        seed: What is known of the entry that its answer would be; None where none would be stored.
        leader: The request whose run it would have waited for; None for none.
        comparable: Whether its answer is the whole of what others of its key get.
        status, headers: Of the answer; 0 before it begins.
        ended: A reading of the clock when the answer was complete; 0 while it is not.
        flaw: Why its answer cannot be stored, as far as its messages show.
        objection: Why its answer is its client's alone, as far as the run shows.
        valid: Whether what would have answered it was still valid when its answer was complete.
        lasted: Whether what it would store was valid at that time.
        mutations: The mutations under way at that time.
        answer: The answer, once it was digested; None if it cannot be compared.
        number: Of its observation.
        judged: Whether it was decided what is stored of it.
        kept: Whether something was.
        entry: What would be stored; None if nothing would.
        replaced: Whether the same cache, inside of this one, observes it.
        has_body: Whether the request has content although its fields do not say so.
    """

    __slots__ = (
        "_clock",
        "_send",
        "answer",
        "asked_at",
        "began",
        "comparable",
        "content",
        "ended",
        "entry",
        "flaw",
        "has_body",
        "headers",
        "judged",
        "kept",
        "key",
        "lasted",
        "leader",
        "marker",
        "mutations",
        "number",
        "objection",
        "outside",
        "plan",
        "renews",
        "replaced",
        "request",
        "scope",
        "seed",
        "slot",
        "status",
        "valid",
        "would",
    )

    def __init__(
        self, plan: Plan, scope: Scope, send: Send, content: Content, clock: Any, asked_at: float
    ) -> None:
        self.plan: Plan = plan
        self.scope = {**scope, "headers": [*scope["headers"]]}  # applications edit theirs
        self._send = send
        self._clock = clock
        self.content: Content = content
        self.began: float = clock()
        self.asked_at: float = asked_at
        self.request: Request | None = None
        self.outside: Outside | None = None
        self.would: str = ""
        self.key: str = plan.key
        self.slot: Slot | None = None
        self.renews: bool = False
        self.marker: Variants | None = None
        self.seed: Entry | None = None
        self.leader: Exchange | None = None
        self.comparable: bool = True
        self.status = 0
        self.headers: Any = ()
        self.ended = 0.0
        self.flaw: Reason | None = None
        self.has_body: bool = False
        self.objection: Reason | None = None
        self.valid: bool = False
        self.lasted: bool = False
        self.mutations: list[UnderWay] = []
        self.answer: Answer | None = None
        self.number: int = 0
        self.judged: bool = False
        self.kept: bool = False
        self.replaced: bool = False
        self.entry: Entry | None = None

    async def send(self, message: Message) -> None:
        """Pass on one message of the application, as it is."""
        kind = message["type"]
        if kind == "http.response.body":
            if self.ended == 0.0:
                if chunk := message.get("body"):
                    self.content.add(chunk, self.status)
                if not message.get("more_body"):
                    await self._send(message)
                    self.ended = self._clock()
                    return
        elif kind == "http.response.start":
            if not self.status:
                message = self._start(message)
        elif self.status:
            # A replay would have to contain all that was sent.
            self.flaw = self.flaw or Reason.NOT_UNDERSTOOD
        await self._send(message)

    def _start(self, message: Message) -> Message:
        """Note how the answer starts; the message to pass on.

        Layers outside edit the lines, and what is decided of them is decided later.
        """
        lines = message.get("headers", ())
        if not isinstance(lines, list | tuple):
            message = {**message, "headers": (lines := [*lines])}  # they may be read once only
        self.status, self.headers = message["status"], (*lines,)
        if message.get("trailers"):
            self.flaw = Reason.TRAILERS
        return message

    def noting(self, receive: Receive) -> Receive:
        """The client's channel, where the fields of a request do not say whether it has a body."""

        async def noted() -> Message:
            message = await receive()
            if message.get("body") or message.get("more_body"):
                self.has_body = True
            return message

        return noted

    def lines(self) -> Headers:
        """The field lines of the answer, normalised."""
        return normalised(self.headers)
