"""One request of a guarded route: from its arrival to what the framework gets.

The middleware lets the request pass, and puts it into its scope. When the framework has
let it in, the function around the endpoint calls `takes`, and then `stored` or `answer`. What a
plain hit leaves as, after the layers of the application, is sent here if it left so before; all
else leaves through `leaving`.
"""

from asyncio.events import _get_running_loop as loop_here
from typing import Any

from ..._types import Headers, Message, Receive, Scope, Send
from ...config.policy import Policy
from ...engine.engine import Engine
from ...entry import Slot
from ...policy.downstream import are_told_as_they_are
from ...policy.headers import merged
from ...policy.reasons import Reason
from ...policy.request import CHOICES, Field, tag_asked_for
from ...policy.validation import NOT_FORWARDED
from ...routing.endpoints import Call
from ...routing.guarded import GUARDED_KEY
from ..framework import FILL_KEY
from ..layers import publish
from ..request import Request
from .leaving import Leaving
from .made import Aside, Shown, is_set, status_for
from .miss import Miss
from .naming import key_at_once, key_of, labels_of
from .replay import GuardedReplay, in_coding, prepared

_FILES = ("http.response.pathsend", "http.response.zerocopysend")


class GuardedExchange:
    """One request of a guarded route, and its answer.

    Args:
        engine: The cache.
        request: The request.
        send: The client's channel.

    Attributes:
        scope: The request as the application gets it: for the whole answer, with all its cookies.
        reason: Why it passes by the cache; None if it does not.
        miss: Its story; None for a plain hit, and for what passes by.
        replay: What a plain hit is answered with.
        slot: Where that is stored.
        added: The field lines that dependencies have set for a plain hit, if they are none by which
            it is told otherwise.
    """

    __slots__ = (
        "_age",
        "_armed",
        "_born",
        "_engine",
        "_held",
        "_leaving",
        "_loop",
        "_prompt",
        "_quick",
        "_request",
        "_send",
        "_sent",
        "_tag",
        "added",
        "miss",
        "reason",
        "replay",
        "scope",
        "slot",
    )

    def __init__(self, engine: Engine, request: Request, send: Send) -> None:
        self._engine = engine
        self._request = request
        self._send = send
        self._born = engine.index.born()
        self._loop = loop_here()
        self._armed = True
        self._leaving: Leaving | None = None
        self._held: Message | None = None
        self._sent = False
        self._age = 0.0
        self._quick: GuardedReplay | None = None
        self.reason: Reason | None = Reason.GUARD
        self.added: Headers = ()
        self.miss: Miss | None = None
        self.replay: GuardedReplay | None = None
        self.slot: Slot | None = None
        scope, found = request.scope, request.found
        self._prompt = scope["method"] == "GET"
        self._tag: bytes | None = None
        lines = list(scope["headers"])
        if not CHOICES.isdisjoint(found):
            self._tag = tag_asked_for(found)
            if self._tag is not None:
                lines.remove(found[Field.CONDITION][0])
            else:
                self._prompt = False
                lines = [line for line in lines if line[0].lower() not in NOT_FORWARDED]
        self.scope: Scope = {
            **scope,
            "method": request.asked_by,
            "headers": lines,
            FILL_KEY: engine,
            GUARDED_KEY: self,
        }
        if extensions := scope.get("extensions"):
            known = {name: of for name, of in extensions.items() if name not in _FILES}
            self.scope["extensions"] = known

    # At the edge of the application.

    async def run(self, receive: Receive) -> None:
        """Let the framework answer, and see what leaves.

        Raises:
            Exception: What the application has raised, also where something stale has stood in.
        """
        try:
            await self._request.app(self.scope, receive, self.send)
        except Exception:
            if not self._sent:
                await (await self._edge()).fail()
            if self.miss is not None and self.miss.origin.answered:
                await self.miss.counted()
            raise
        finally:
            self._armed = False
            self.scope.pop(GUARDED_KEY, None)  # else the two hold each other until collected
            if self.reason is not None:
                self._request.plan.tally.passed(self.reason)
            if self.miss is not None:
                self.miss.end()
        if self._sent:
            return
        await (await self._edge()).finish()
        if self.miss is not None:
            await self.miss.counted()
        if self.reason is not None:
            self._request.confirms(self.scope)

    async def send(self, message: Message) -> None:
        """One message of the application; those of a plain hit are held until it is whole."""
        replay, held = self._quick, self._held
        if replay is None:
            await (await self._edge()).send(message)
        elif held is None and message["type"] == "http.response.start":
            self._held = message
        elif not self._sent:
            whole = message.get("body") is replay.body and not message.get("more_body")
            form = self._form(replay, held) if whole and held is not None else None
            if form is None:
                await (await self._edge()).send(message)
                return
            self._sent = True
            publish(self.scope, self._request.scope)
            start, body = form.messages(self._age, self._tag, self.added)
            await self._send(start)
            await self._send(body)

    def _form(self, replay: GuardedReplay, start: Message) -> GuardedReplay | None:
        """What the client gets of a plain hit, if that has left before, in a coding it accepts.

        Others may have left since the start, with fields of their own: asked here at last.
        """
        if not replay.leaves_as_before(start, self.added):
            return None
        if replay.encodable and self.slot is not None:
            codings, terms = self._request.codings, self._request.plan.terms
            found = self._engine.encodings.find(self.slot, codings, terms) if codings else None
            replay = replay if found is None else in_coding(found, replay)
        return replay if self._tag is None or self._tag == replay.tag else None

    async def _edge(self) -> Leaving:
        """What all else leaves through, with what was held until now."""
        leaving = self._leaving
        if leaving is None:
            self._quick = None
            leaving = self._leaving = Leaving(self._engine, self._request, self, self._send)
            if self._held is not None:
                await leaving.send(self._held)
        return leaving

    @property
    def shown(self) -> Shown | None:
        """The whole response that the framework has got; None if it has another."""
        if self.replay is not None:
            return Shown(self.replay.body, self._age, self.replay.member(self._age)[1])
        return None if self.miss is None else self.miss.shown

    # Called by the function around the endpoint.

    def takes(self, policy: Policy, call: Call) -> bool:
        """Whether this call is the one that the request is for."""
        planned = self._request.plan.resolved.policy
        if not self._armed or planned is not policy or call.request is None:
            return False
        scope, own = call.request.scope, self._request.scope
        self._armed = False
        same: bool = scope["path"] == own["path"] and scope["query_string"] == own["query_string"]
        if not same:
            self.reason = Reason.MISMATCH
        return same

    def stored(self, call: Call) -> Any:
        """The response of a plain hit; None if it is none."""
        if loop_here() is not self._loop:
            return None
        try:
            key = key_at_once(self._request, call)
        except Exception:  # noqa: BLE001  # of an argument's attribute: `answer` says so
            return None
        return None if key is None else self._hit(call, key)

    def _hit(self, call: Call, key: str) -> Any:
        engine, request = self._engine, self._request
        slot = engine.stack.read(key)
        if slot is None or request.directives is not None:
            return None
        replay, now = slot.replay or prepared(slot), engine.clock()
        if replay is None or now >= replay.until:
            return None
        self.reason, self.replay, self._age = None, replay, now - replay.created
        self.slot = slot
        if self._prompt:
            self._quick = replay
        request.plan.tally.local += 1
        injected = call.response
        if injected is None or not (replay.joins and is_set(injected)):
            return replay.response()
        return self._with_fields(call, replay)

    def _with_fields(self, call: Call, replay: GuardedReplay) -> Any:
        """The response of a plain hit with what dependencies have set for this request."""
        aside = Aside(call.response)
        added = merged(replay.given, aside.lines)[len(replay.given) :]
        if are_told_as_they_are(added):
            self.added = added
        else:
            self._quick = None
        response = replay.response(added)
        response.status_code = status_for(call, replay.status, aside)
        return response

    async def answer(self, call: Call) -> Any:
        """The response where it is no plain hit.

        Raises:
            Exception: What the endpoint has raised.
        """
        engine, request = self._engine, self._request
        if loop_here() is not self._loop:
            self.reason = Reason.EVENT_LOOP
            return await call.run()
        key = await key_of(engine, request, call)
        if callable(request.plan.policy.vary_by) and key is not None:
            hit = self._hit(call, key)  # `stored` could not ask it
            if hit is not None:
                return hit
        labels = Reason.PARTITION if key is None else labels_of(engine, request, call)
        if key is None or isinstance(labels, Reason):
            self.reason = labels if isinstance(labels, Reason) else Reason.PARTITION
            return await call.run()
        self.reason = None
        miss = self.miss = Miss(engine, request, key, self._born, labels)
        if not await miss.is_told():
            # The cache was closed meanwhile.
            self.reason = Reason.UNSTABLE
            return await call.run()
        return await miss.answer(call)
