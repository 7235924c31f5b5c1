"""Leases: one worker of the fleet runs the origin for a key, the others wait for it.

A lease is a key with a token and a lifetime, renewed while its holder works. Releasing it writes
the key to a stream that each node with waiters follows on one connection: waiters wake at once and
nothing polls. If a holder dies, its lease expires. Safety does not depend on leases: two holders
cost one more run of the origin. So where taking or releasing leases fails, a circuit breaker skips
them for a while; without it, every waiter would wait for a lease to expire.
"""

import asyncio
import logging
import os
from contextlib import suppress
from secrets import token_hex
from typing import Any

from ..breaker import WHOLE, Breakers, Circuit
from ..errors import BackendError
from ..tracing import background
from .client import Link, check_namespace, connect
from .recipe import UrlOrClient
from .scripts import CLAIM, RELEASE, RENEW, Script
from .streams import end_of, read_after

logger: logging.Logger = logging.getLogger("asgi_multitier")

TTL = 3.0
"""Seconds after which the lease of a dead holder expires."""

_KEEP = 60_000
_BLOCK = 0.1
"""Seconds that one read blocks. With the time-out of an operation added, it is how long a server
that hangs stays unnoticed."""

_AT_ONCE = 500
_LINGER = 1.0
"""Seconds that the tail continues after the last waiter has left."""

_TAKE = (WHOLE, "take")
_GIVE_BACK = (WHOLE, "give back")

_PAUSE = 0.02
_MAX_PAUSE = 0.5


class Claim:
    """One attempt at a lease.

    Attributes:
        key: The key of the lease.
        won: Whether to run the origin: the lease was taken, or the server cannot be reached.
        held: Whether the lease is really held; False where the server did not answer.
        holder: The `traceparent` of who holds it instead, where it was asked for and is given.
    """

    __slots__ = (
        "_asks", "_leases", "_renewal", "_token", "_woken", "ends", "held", "holder", "key",
        "won",
    )  # fmt: skip

    def __init__(
        self,
        leases: "Leases",
        key: str,
        token: str,
        woken: "asyncio.Future[None]",
        *,
        asks: bool = False,
    ) -> None:
        self.key: str = key
        self.won: bool = False
        self.held: bool = False
        self.holder: str = ""
        self.ends: float = 0.0
        self._asks = asks
        self._leases = leases
        self._token = token
        self._woken = woken
        self._renewal: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Claim {self.key!r} {'won' if self.won else 'lost'}>"

    async def released(self, timeout: float) -> bool:
        """Wait, after losing, until the holder releases the lease or it expires.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            False if the time is over first. Otherwise check for the result, and claim again.
        """
        loop = asyncio.get_running_loop()
        left = self.ends - loop.time()
        done, _ = await asyncio.wait([self._woken], timeout=max(0.0, min(timeout, left)))
        return bool(done) or left <= timeout

    async def release(self) -> None:
        """Release the lease, or stop waiting for it. Never raises; may be called twice."""
        await self._leases._release(self)


class Leases:
    """The leases of one namespace.

    Args:
        target: An address, a client of redis-py's asyncio kind, or a link.
        namespace: Part of the keys' names.
        ttl: Seconds after which the lease of a dead holder expires.

    Raises:
        ConfigError: If the target or the namespace is invalid.
    """

    def __init__(
        self,
        target: "UrlOrClient | Link | None" = None,
        *,
        namespace: str = "asgi-multitier",
        ttl: float = TTL,
    ) -> None:
        self.link: Link = connect(target)
        self.ttl = ttl
        self._owns_link = not isinstance(target, Link)
        self._prefix = f"{{{check_namespace(namespace)}}}:lease:"
        self._stream = f"{{{namespace}}}:leases"
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._tail: asyncio.Task[None] | None = None
        self._pause = 0.0
        self._pid = os.getpid()
        self._listening: asyncio.Event = asyncio.Event()
        self._renewals: set[asyncio.Task[None]] = set()
        self._breakers = Breakers()

    def __repr__(self) -> str:
        return f"<Leases {self._prefix} at {self.link.name}, {len(self._waiting)} keys waited for>"

    async def claim(self, key: str, traceparent: str | None = None) -> Claim:
        """Try to take the lease of a key. Never raises; without the server every claim is won.

        The caller calls `Claim.release` when it is done, whether it won or not.

        Args:
            key: The key.
            traceparent: How the claimer's span is named (W3C Trace Context), for those who wait for
                it; "" if it is in no trace. None: nothing is told, and the holder's is not asked
                for.
        """
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        token = token_hex(8)
        # Others only compare it: what stands behind the token is for those who know of it.
        token = f"{token} {traceparent}" if traceparent else token
        claim = Claim(self, key, token, woken, asks=traceparent is not None)
        if self._is_skipped():
            claim.won = True
            return claim
        # Listen before asking: a release between the two must not be missed.
        self._waiting.setdefault(key, set()).add(woken)
        try:
            left = await self._ask(claim)
            if left >= 0:
                await self._listen()
                left = await self._ask(claim)
        except BackendError as error:
            self._failed(_TAKE, error)
            claim.won = True
            self._forget(claim)
            return claim
        except BaseException:
            self._forget(claim)
            raise
        self._succeeded(_TAKE)
        if left < 0:
            claim.won = claim.held = True
            self._forget(claim)
            self._keep(claim)
        claim.ends = asyncio.get_running_loop().time() + max(0, left) / 1000
        return claim

    async def _ask(self, claim: Claim) -> int:
        if claim._woken.done():
            claim._woken = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(claim.key, set()).add(claim._woken)
        args = (claim._token, int(self.ttl * 1000), int(claim._asks))
        left, holder = await self._run(CLAIM, [self._prefix + claim.key], *args)
        claim.holder = holder.decode("latin-1").partition(" ")[2] if holder else ""
        return int(left)

    async def _release(self, claim: Claim) -> None:
        self._forget(claim)
        if claim._renewal is not None:
            claim._renewal.cancel()
            claim._renewal = None
        if not claim.held:
            return
        claim.held = False
        keys = [self._prefix + claim.key, self._stream]
        try:
            await self._run(RELEASE, keys, claim._token, claim.key, _KEEP)
        except BackendError as error:
            # It expires by itself; waiters are late by its lifetime at most.
            self._failed(_GIVE_BACK, error)
            return
        self._succeeded(_GIVE_BACK)

    # The circuit breaker.

    def _is_skipped(self) -> bool:
        now = asyncio.get_running_loop().time()
        return not all(self._breakers.allows(one, now) for one in (_TAKE, _GIVE_BACK))

    def _failed(self, circuit: Circuit, error: BackendError) -> None:
        if self._breakers.failed(circuit, asyncio.get_running_loop().time()):
            logger.warning(
                "leases are skipped: circuit breaker open, each process runs the origin itself: "
                "%s: %s",
                circuit[1],
                error,
            )

    def _succeeded(self, circuit: Circuit) -> None:
        if self._breakers.succeeded(circuit):
            logger.warning("leases are used again at %s", self.link.name)

    def _forget(self, claim: Claim) -> None:
        waiting = self._waiting.get(claim.key)
        if waiting is not None:
            waiting.discard(claim._woken)
            if not waiting:
                del self._waiting[claim.key]

    async def _run(self, script: Script, keys: list[str], *args: str | int) -> Any:
        return await self.link.run(script.work(keys, *args), key=keys[0])

    # The holder.

    def _keep(self, claim: Claim) -> None:
        task = asyncio.create_task(
            self._renew(claim), name="asgi-multitier lease", context=background()
        )
        claim._renewal = task
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)

    async def _renew(self, claim: Claim) -> None:
        """Renew the lease while its holder works, until another worker has it."""
        keys = [self._prefix + claim.key]
        while True:
            await asyncio.sleep(self.ttl / 3)
            try:
                if not await self._run(RENEW, keys, claim._token, int(self.ttl * 1000)):
                    claim.held = False
                    return
            except BackendError:
                continue

    # The waiters.

    async def _listen(self) -> None:
        """Start the tail if needed, and wait until it knows the end of the stream."""
        if self._tail is None or self._tail.done() or self._is_inherited(self._tail):
            self._pid = os.getpid()
            self._keep_own()
            self._listening = asyncio.Event()
            self._tail = asyncio.create_task(
                self._follow(), name="asgi-multitier lease tail", context=background()
            )
        try:
            async with asyncio.timeout(self.link.timeout):
                await self._listening.wait()
        except TimeoutError:
            raise BackendError(f"{self.link.name}: no answer in time") from None

    def _keep_own(self) -> None:
        """Forget the waiters of closed event loops."""
        for key, waiting in list(self._waiting.items()):
            own = {woken for woken in waiting if woken.get_loop().is_running()}
            if own:
                self._waiting[key] = own
            else:
                del self._waiting[key]

    def _is_inherited(self, tail: "asyncio.Task[None]") -> bool:
        """Whether it belongs to another event loop, or to the process before a fork."""
        return tail.get_loop() is not asyncio.get_running_loop() or self._pid != os.getpid()

    async def _follow(self) -> None:
        """Wake the waiters of released keys. Ends `_LINGER` seconds after the last waiter left."""
        position = ""
        loop = asyncio.get_running_loop()
        wanted = loop.time()
        while True:
            # Also at first: a waiter woken by a failed tail starts the next one.
            await asyncio.sleep(self._pause)
            try:
                async with self.link.dedicated() as connection:
                    if not position:
                        position = await connection.run(
                            end_of(self._stream), timeout=self.link.timeout
                        )
                    self._listening.set()
                    while True:
                        work = read_after(self._stream, position, _AT_ONCE, _BLOCK)
                        reply = await connection.run(work, timeout=_BLOCK + self.link.timeout)
                        self._pause = 0.0
                        for number, fields in reply[0][1] if reply else ():
                            position = number.decode()
                            self._wake(fields[1].decode("utf-8", "replace"))
                        if self._waiting:
                            wanted = loop.time()
                        elif loop.time() - wanted >= _LINGER:
                            return
            except BackendError:
                # Releases may have been lost with the server: let all waiters check again.
                self._pause = min(max(2 * self._pause, _PAUSE), _MAX_PAUSE)
                for key in list(self._waiting):
                    self._wake(key)
                if not self._waiting:
                    return

    def _wake(self, key: str) -> None:
        loop = asyncio.get_running_loop()
        for woken in self._waiting.pop(key, ()):
            theirs = woken.get_loop()
            if theirs is loop:
                _wake(woken)
            else:
                # A closed event loop has no waiters.
                with suppress(RuntimeError):
                    theirs.call_soon_threadsafe(_wake, woken)

    async def close(self) -> None:
        """Stop waiting; leases still held expire by themselves. May be called twice."""
        loop = asyncio.get_running_loop()
        tasks = [task for task in (self._tail, *self._renewals) if task is not None]
        tasks = [task for task in tasks if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._tail is not None and self._tail.get_loop() is loop:
            self._tail = None
        for key in list(self._waiting):
            self._wake(key)
        if self._owns_link:
            await self.link.close()


def _wake(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)
