"""The application that is mounted: it lets in who may ask, and finds what answers."""

import re
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from .._types import Receive, Scope, Send
from ..config.readers import read_boolean
from ..config.tokens import credentials_of
from ..errors import BackendError, CacheError, ConfigError
from ..routing.annotations import inert
from .asking import EXPLAINED, Asking
from .cache import Administered
from .entries import PARAMETERS as LISTING
from .entries import Entries
from .files import FOLDER, read_files
from .hosts import Hosts, is_same_origin, only_host
from .invalidating import Invalidating
from .overview import Overview
from .reading import Ask, Gone, needs_operator, read_object, read_query
from .replies import Refusal, Reply, guarding, send_reply
from .reports import NAMES as REPORTED
from .reports import Reports
from .rights import Authorize, Rights, client_of
from .wanted import NAMES
from .warming import NAMES as WARMED
from .warming import Warming
from .watching import PARAMETERS as WATCHING
from .watching import Watching

_WHERE = "CacheManager.admin"
_DIGEST = re.compile(r"[rv]:[0-9a-f]{32}")
_SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Door:
    """What answers one method of one path.

    Attributes:
        answer: Makes the answer.
        names: The parameters of the query, or of a POST the members of the object.
        changes: Whether it may change something.
    """

    answer: Callable[[Ask], Coroutine[Any, Any, Reply]]
    names: frozenset[str] = frozenset()
    changes: bool = False


@inert
class AdminApplication:
    """What operators see of a cache, and do to it. See `CacheManager.admin`.

    A plain ASGI application, mounted in another one or run by itself: then it starts and closes the
    cache, unless that runs already.
    """

    def __init__(
        self,
        cache: Administered,
        token: str | None,
        viewer_token: str | None,
        hosts: Iterable[str] | None,
        authorize: Authorize | None,
        *,
        redact: bool,
        read_only: bool,
    ) -> None:
        operator = credentials_of(token, _WHERE)
        viewer = credentials_of(viewer_token, _WHERE, "viewer_token")
        if operator is not None and operator == viewer:
            raise ConfigError(f"{_WHERE}: token= and viewer_token= are the same; expected two")
        if authorize is not None and not callable(authorize):
            raise ConfigError.of("authorize", authorize, "a function of a scope", where=_WHERE)
        self._redact = read_boolean(redact, "redact", _WHERE)
        read_boolean(read_only, "read_only", _WHERE)
        self._cache = cache
        self._rights = Rights(
            operator=operator,
            viewer=viewer,
            authorize=authorize,
            hosts=None if hosts is None else Hosts(hosts),
            broken=self._broken,
            clock=time.monotonic,
        )
        self._overview = Overview(cache, read_only=read_only)
        self._watching = Watching(lambda: cache.engine)
        self._doors = self._all_doors(read_only=read_only)
        self._files = read_files(FOLDER)

    def _all_doors(self, *, read_only: bool) -> Mapping[str, Mapping[str, Door]]:
        """By path, `{}` standing for a digest, and method."""
        overview, cache = self._overview, self._cache
        entries, invalidating = Entries(lambda: cache.engine), Invalidating(cache)
        asking, reports = Asking(cache), Reports(cache)
        reveal = frozenset(("reveal",))
        limit = frozenset(("limit",))
        doors = {
            "/api": {"GET": Door(self._index)},
            "/api/config": {"GET": Door(overview.config)},
            "/api/entries": {"GET": Door(entries.listed, LISTING)},
            "/api/entries/{}": {"GET": Door(entries.one, reveal)},
            "/api/flights": {"GET": Door(overview.flights, limit)},
            "/api/log": {"GET": Door(overview.log, limit | reveal)},
            "/api/stats": {"GET": Door(asking.stats, frozenset(("scope", "route")))},
            "/api/hot": {"GET": Door(asking.hot, limit | reveal | {"scope"})},
            "/api/fleet": {"GET": Door(asking.fleet)},
            "/api/routes": {"GET": Door(asking.routes)},
            "/api/report": {
                "GET": Door(reports.found, frozenset(("scope",))),
                "POST": Door(reports.cleared, REPORTED, changes=True),
            },
            "/api/explain": {"POST": Door(asking.explain, EXPLAINED)},
            "/api/invalidate": {"POST": Door(invalidating.answer, NAMES, changes=True)},
            "/api/warm": {"POST": Door(Warming(cache).answer, WARMED, changes=True)},
            "/api/mode": {"POST": Door(overview.mode, frozenset(("mode", "scope")), changes=True)},
        }
        if not read_only:
            return doors
        reading = {
            path: {method: door for method, door in methods.items() if not door.changes}
            for path, methods in doors.items()
        }
        return {path: methods for path, methods in reading.items() if methods}

    async def _index(self, ask: Ask) -> Reply:
        paths = [path.removeprefix("/") for path in (*self._doors, "/api/events", "/metrics")]
        return await self._overview.index(ask, sorted(paths))

    def _broken(self, error: Exception) -> None:
        self._cache.engine.events.callback_failed("authorize", error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] == "http":
            try:
                await self._answer(scope, receive, send)
            except Refusal as refusal:
                await send_reply(send, refusal.reply(), head=scope["method"] == "HEAD")
            except BackendError:
                silent = Refusal(503, "the cache does not answer now").reply()
                await send_reply(send, silent, head=scope["method"] == "HEAD")
            except Gone:
                return

    async def _live(self, receive: Receive, send: Send) -> None:
        """The life of a server that runs this alone."""
        owns = False
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.startup":
                owns = not self._cache.running
                try:
                    if owns:
                        await self._cache.start()
                except CacheError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
            elif owns:
                await self._cache.close()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, head = _path(scope), scope["method"] == "HEAD"
        if not self._rights.exist:
            raise _nothing()
        if path in ("/healthz", "/readyz"):
            await send_reply(send, await self._health(path, scope), head=head)
            return
        if (file := self._files.get(path or "/")) is not None:
            self._rights.check_host(scope["headers"])
            _check_method(scope, _SAFE)
            await send_reply(send, file if path else _to_folder(scope), head=head)
            return
        right = await self._rights.of(scope)
        if path == "/metrics":
            _check_method(scope, _SAFE)
            await self._cache.metrics()(scope, receive, guarding(send))
            return
        if path == "/api/events":
            _check_method(scope, ("GET",))
            query = read_query(scope["query_string"], WATCHING)
            ask = Ask(scope, right, client_of(scope), query, redact=self._redact)
            await self._watching.stream(ask, receive, send)
            return
        door, argument = self._door(path, scope)
        ask = Ask(scope, right, client_of(scope), {}, {}, argument, self._redact)
        ask = await self._read(ask, door, receive)
        reply = await self._cache.home.run(partial(door.answer, ask))
        await send_reply(send, reply, head=head)

    async def _health(self, path: str, scope: Scope) -> Reply:
        _check_method(scope, _SAFE)
        if path == "/healthz":
            return await self._overview.healthy()
        strict = scope["query_string"] == b"strict=1"
        return await self._overview.ready(strict=strict)

    def _door(self, path: str, scope: Scope) -> tuple[Door, str]:
        """What answers, and what stands in the path."""
        folder, _, name = path.rpartition("/")
        argument = name if _DIGEST.fullmatch(name) else ""
        methods = self._doors.get(f"{folder}/{{}}" if argument else path)
        if methods is None:
            raise _nothing()
        _check_method(scope, (*methods, "HEAD") if "GET" in methods else tuple(methods))
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        return methods[method], argument

    async def _read(self, ask: Ask, door: Door, receive: Receive) -> Ask:
        """The request with its parameters or its content."""
        scope = ask.scope
        if scope["method"] in _SAFE:
            query, body = read_query(scope["query_string"], door.names), {}
        else:
            if ask.right != "operator":
                raise needs_operator(scope["method"])
            if not is_same_origin(scope["headers"], only_host(scope["headers"])):
                raise Refusal(403, "a page of another origin may not send this")
            query = read_query(scope["query_string"], ())
            body = await read_object(receive, scope["headers"], door.names)
        return Ask(scope, ask.right, ask.client, query, body, ask.argument, ask.redact)


def _path(scope: Scope) -> str:
    """The path below the place where this is mounted; "" for that place itself."""
    path: str = scope["path"]
    root = (scope.get("root_path") or "").rstrip("/")
    # A proxy may take the outer application's root path off; what that mounts stands after it.
    for place in (root, root.removeprefix(scope.get("app_root_path") or "")):
        if place and (path == place or path.startswith(place + "/")):
            return path[len(place) :]
    return path


def _to_folder(scope: Scope) -> Reply:
    """To the same place with a slash, relative to which the page names its files."""
    if not (name := scope["path"].rpartition("/")[2]):
        raise _nothing()
    location = quote(name, safe="") + "/"
    return Reply(307, b"", b"text/plain", ((b"location", location.encode()),))


def _check_method(scope: Scope, allowed: Iterable[str]) -> None:
    if scope["method"] not in allowed:
        names = ", ".join(allowed)
        raise Refusal(405, f"expected {names}", ((b"allow", names.encode()),))


def _nothing() -> Refusal:
    return Refusal(404, "there is nothing here")
