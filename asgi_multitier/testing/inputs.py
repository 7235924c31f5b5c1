"""The inputs of a request, and which of them the key of its response covers."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from .._types import Headers, Scope
from ..asgi.framework import request_of
from ..asgi.middleware import CacheMiddleware
from ..asgi.plan import raw_target
from ..config.policy import Policy
from ..policy.content import WITH_CONTENT, is_covered
from ..policy.cookies import is_ignored
from ..policy.headers import normalised
from ..policy.key import name_of_pair
from ..policy.request import Field, Watch, scan
from ..policy.validation import unconditional
from ..policy.vary import selecting_fields
from ..routing import Resolved

_COVERED = frozenset({Field.HOST, Field.FORWARDED, Field.ORIGIN})
_PERSONAL = frozenset({Field.AUTHORIZATION, Field.CREDENTIALS})
_COOKIE = b"cookie"
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Input:
    """A request field, cookie or query parameter.

    Attributes:
        kind: `"field"`, `"cookie"` or `"query parameter"`.
        name: Its name.
        value: Its values, as sent.
        ignored: Whether the rule says that nothing depends on it.
        personal: Whether it identifies the user.
    """

    kind: str
    name: str
    value: str
    ignored: bool = False
    personal: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def shown(self) -> str:
        """It and its value."""
        return f"{self.kind} {self.name}={self.value!r}"

    @property
    def cure(self) -> str:
        """What to write at the route."""
        if self.kind == "cookie":
            instead = "cookies=" if not self.ignored else "cookies= in place of ignore_cookies="
            return f"name {self.name!r} in {instead} of the route"
        if self.kind == "query parameter":
            return f"add {self.name!r} to query= of the route"
        if self.name in ("authorization", "proxy-authorization"):
            return "take public=True away and separate the users by vary_by="
        return f"add {self.name!r} to vary= of the route, or send it in Vary"


@dataclass(frozen=True, slots=True)
class SharedRequest:
    """A request that was answered by a shared response.

    Attributes:
        scope: It, as it came to the cache, without conditions and ranges.
        lines: Its field lines.
        resolved: Its route and rule.
        policy: That rule.
        watch: Which fields matter to the cache.
        content: Its content, which the key covers.
    """

    scope: Scope
    lines: Headers
    resolved: Resolved
    policy: Policy
    watch: Watch
    content: bytes = b""

    @classmethod
    def of(
        cls, cache: CacheMiddleware, scope: Scope, content: bytes = b""
    ) -> "SharedRequest | None":
        """A request as the detector sees it; None where no rule holds for it."""
        resolved = cache.resolve(scope)
        if resolved.policy is None:
            return None
        lines = unconditional(normalised(scope["headers"]))
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        whole = {**scope, "headers": list(lines), "method": method}
        watch = Watch(cache.manager.config.credentials)
        return cls(whole, lines, resolved, resolved.policy, watch, content)

    @property
    def route(self) -> str:
        """The path template of its route."""
        return self.resolved.route

    @property
    def url(self) -> str:
        """Path and query."""
        path, query = raw_target(self.scope)
        return (path + (b"?" + query if query else b"")).decode("latin-1")

    async def uncovered(self, answer: Headers) -> list[Input]:
        """The inputs that the key does not cover.

        Args:
            answer: The field lines of the response: its `Vary` is covered.
        """
        policy = self.policy
        vary = {*policy.vary, *(selecting_fields(answer) or ())}
        if self.scope["method"] in WITH_CONTENT:
            vary |= {name for name, _ in self.lines if is_covered(name)}
        found = [*self._fields(vary), *self._cookies(vary), *self._parameters()]
        if getattr(policy, "guarded", False):
            # The dependencies of the endpoint see each request, and may name whose copy it gets.
            named = policy.vary_by is not None
            return [one for one in found if not (one.personal or named)]
        ask = policy.vary_by
        if not callable(ask) or not found:
            return found
        whose = await self._partition(ask, ())
        return [one for one in found if await self._partition(ask, [one]) == whose]

    def _fields(self, vary: Collection[bytes]) -> Iterable[Input]:
        for name in dict.fromkeys(name for name, _ in self.lines):
            lines = [line for line in self.lines if line[0] == name]
            _, known = scan(lines, self.watch)
            covered = name in vary or name in (b"host", _COOKIE) or _COVERED & {*(known or ())}
            if not covered:
                personal = bool(_PERSONAL & {*(known or ())})
                value = _joined(v for _, v in lines)
                yield Input("field", name.decode("latin-1"), value, personal=personal)

    def _cookies(self, vary: Collection[bytes]) -> Iterable[Input]:
        policy = self.policy
        alone = not (policy.public or policy.cookies or policy.vary_by or policy.ignore_cookies)
        if _COOKIE in vary or (policy.lifetime is None and alone):
            return
        pairs = [pair.strip() for _, line in self._cookie_lines() for pair in line.split(b";")]
        for name in dict.fromkeys(_cookie_name(pair) for pair in pairs):
            text = name.decode("latin-1")
            if text not in policy.cookies:
                values = _joined(p.partition(b"=")[2] for p in pairs if _cookie_name(p) == name)
                ignored = is_ignored(name, policy.ignore_cookies)
                yield Input("cookie", text, values, ignored=ignored, personal=True)

    def _cookie_lines(self) -> Headers:
        return tuple(line for line in self.lines if line[0] == _COOKIE)

    def _parameters(self) -> Iterable[Input]:
        if self.policy.query is None:
            return
        pairs = [pair for pair in self.scope.get("query_string", b"").split(b"&") if pair]
        for name in dict.fromkeys(map(name_of_pair, pairs)):
            if name not in self.policy.query:
                values = _joined(p.partition(b"=")[2] for p in pairs if name_of_pair(p) == name)
                yield Input("query parameter", name, values)

    async def _partition(self, ask: Callable[[Any], Any], left_out: Collection[Input]) -> Any:
        """Whose copy the request gets where these inputs are left out."""
        scope = self.without(left_out)
        try:
            content = self.content if self.policy.body else None
            value = ask(request_of(scope, self.resolved.path_params, content))
            return await value if isawaitable(value) else value
        except Exception:  # noqa: BLE001  # a callable of the rule; another answer than a partition
            return _MISSING

    def without(self, left_out: Collection[Input]) -> Scope:
        """Its scope without these inputs."""
        named = {kind: {one.name for one in left_out if one.kind == kind} for kind in _KINDS}
        lines = [line for line in self.lines if line[0].decode("latin-1") not in named["field"]]
        if named["cookie"]:
            lines = [line for line in lines if line[0] != _COOKIE]
            pairs = (p.strip() for _, line in self._cookie_lines() for p in line.split(b";"))
            kept = [p for p in pairs if _cookie_name(p).decode("latin-1") not in named["cookie"]]
            lines += [(_COOKIE, b"; ".join(kept))] if kept else []
        query = self.scope.get("query_string", b"")
        if named["query parameter"]:
            kept = [p for p in query.split(b"&") if name_of_pair(p) not in named["query parameter"]]
            query = b"&".join(kept)
        return {**self.scope, "headers": lines, "query_string": query}


_KINDS = ("field", "cookie", "query parameter")


def _cookie_name(pair: bytes) -> bytes:
    return pair.partition(b"=")[0].strip()


def _joined(values: Iterable[bytes]) -> str:
    return b", ".join(values).decode("latin-1")
