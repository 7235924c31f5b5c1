"""A client of the application in its own process, for warm-ups: no network, and no secrets."""

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import unquote

from .._types import ASGIApp, Message, Scope
from ..errors import CacheError
from ..policy.request import scan
from ..policy.status_field import cache_status
from ..warming.report import Reply
from ..warming.targets import Origin, Target
from .lifespan import Lifespan
from .plan import Plan
from .plans import Plans
from .request_key import request_key
from .sample import WARM_KEY, Sample, is_open


class OwnClient:
    """Asks the application as an ordinary client would.

    Args:
        app: The middleware, which is asked until the layers around it are known.
        lifespan: What the application's life has put into the state of every request.
        plans: What is known of the targets that clients ask for, and the cache.
    """

    def __init__(self, app: ASGIApp, lifespan: Lifespan, plans: Plans) -> None:
        self._app = app
        self._mount: str | None = None
        self._lifespan = lifespan
        self._plans = plans
        self._manager = plans.manager
        self._manager.answered_by(self)

    def stand_before(self, app: ASGIApp, mount: str | None) -> None:
        """Ask the outermost layer of the application, which is known from here on.

        Args:
            app: That layer.
            mount: The root path of all that it is asked for; None for any.
        """
        self._app, self._mount = app, mount
        self._manager.answered_by(self, bound=True)

    @property
    def app(self) -> ASGIApp:
        """The outermost layer of the application that is known."""
        return self._app

    @property
    def mount(self) -> str | None:
        """The root path of all that the application is asked for; None for any."""
        return self._mount

    @property
    def origins(self) -> list[Origin]:
        """What the last targets were asked of, the most frequent first."""
        return [origin for origin, _ in Counter(self._plans.origins).most_common()]

    async def ask(self, target: Target) -> Reply:
        """Ask, and wait for the end of the response, but for nothing that is done after it.

        Raises:
            Exception: What the application has raised.
        """
        exchange = _Exchange()
        run = exchange.run(self._app, self._scope_of(target))
        # A task of its own: what is done after the response goes on, and what does not let itself
        # be cancelled is not waited for.
        task = self._manager.spawn(run, "asgi-multitier warm-up request")
        try:
            await asyncio.wait({task, exchange.over}, return_when=asyncio.FIRST_COMPLETED)
            if exchange.failed:
                await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        if exchange.failed and task.cancelled():
            raise ConnectionAbortedError("the application has cancelled the request")
        if exchange.failed:
            task.result()
        else:
            task.add_done_callback(self._ended)
        said = cache_status(exchange.start.get("headers", ()))
        kept = said.is_undecided and self._is_stored(target)
        return Reply(exchange.start["status"], said, kept)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Report what the application raises when its client has its response."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._manager.engine.events.warm_up_failed(error)

    def _scope_of(self, target: Target) -> Scope:
        """A GET as a server would pass it on."""
        scheme, host, root_path, proxied = target.origin
        # Another application that is mounted elsewhere may have the same paths below its root path.
        root_path = root_path if self._mount is None else self._mount
        own = {name for name, _ in target.headers}
        proxied = tuple(line for line in proxied if line[0] not in own)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": scheme,
            "path": unquote(target.raw_path.decode("ascii")),
            "raw_path": target.raw_path,
            "query_string": target.query,
            "root_path": root_path,
            "headers": [(b"host", host), *proxied, *target.headers],
            "client": ("127.0.0.1", 0),
            "server": (host.partition(b":")[0].decode("ascii"), None),
        }
        scope[WARM_KEY] = True
        if self._lifespan.common:
            scope["state"] = dict(self._lifespan.common)
        return scope

    def _is_stored(self, target: Target) -> bool:
        """Whether the response is stored that was sent before that was known."""
        plan, headers = self._plan_of(target), self._scope_of(target)["headers"]
        key = request_key(plan, headers, scan(headers, self._plans.watch)[1], None)
        return self._manager.engine.stack.peek(key) is not None

    def _plan_of(self, target: Target) -> Plan:
        return self._plans.make(self._scope_of(target), target.origin.host)

    # For the warm-up after the start.

    def is_open(self, target: Target) -> bool:
        """Whether its response may be for anyone, by its rule, and this application answers it.

        A router around this one may let another application answer other hosts.
        """
        host = target.origin.host
        if self._mount is not None and all(host != one.host for one in self._plans.origins):
            return False
        return is_open(self._plan_of(target))

    def sampled(self, count: int) -> list[Target]:
        """What clients have asked for that is open, of those noted since the last call.

        Args:
            count: How many requests are noted from here on; 0 for none.
        """
        plans = self._plans
        sample = plans.asked or Sample()
        plans.asked = sample if count else None
        plans.remembered.overlook(count)
        return sample.taken(self._manager.engine.stack)


class _Exchange:
    """One request, and its response as it comes.

    Attributes:
        start: The start of the response.
        over: Done when the client has all of the response, or the application has ended.
    """

    def __init__(self) -> None:
        self.start: Message = {"status": 500, "headers": []}
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked = self._complete = False

    @property
    def failed(self) -> bool:
        """Whether what the application raises is its answer; frameworks answer 500 before that."""
        return not self._complete or self.start["status"] >= 500

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """The application's part."""
        try:
            await app(scope, self.receive, self.send)
        except SystemExit as error:
            # Raised in a task it ends the event loop, where a server would answer 500.
            raise CacheError(f"the application raised {error!r}") from error
        finally:
            self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    async def receive(self) -> Message:
        """What the application receives: an empty request, and in the end that its client left."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.shield(self.over)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take one message."""
        if message["type"] == "http.response.start":
            self.start = message
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self._complete = True
            self._end()
        # As a connection whose client reads slowly: an application that has much to send must not
        # hold the event loop.
        await asyncio.sleep(0)
