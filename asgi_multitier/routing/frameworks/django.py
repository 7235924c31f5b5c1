"""Django: patterns of its root URL configuration and their views.

Patterns that depend on the language (`i18n_patterns`, translated ones) are not read: which language
a request has is found out by a middleware of Django's, when it runs. Whatever stands after such a
pattern may be taken by it, so no route is named for a path that no pattern before it takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..layers import attribute
from ..routes import Leaf, Prediction
from ..security import Need
from .django_patterns import part_of
from .django_users import needs_of, requires_login
from .framework import RAN_KEY, UNKNOWN, Framework, Ran, apart, found, leaf_of, module


class _Place(NamedTuple):
    """Where a list of patterns stands.

    Attributes:
        path, params: The path template so far, and the names of its places.
        name: The namespaces, each with a colon.
        chain: The identities of the patterns that lead there.
    """

    path: str = "/"
    params: tuple[str, ...] = ()
    name: str = ""
    chain: tuple[int, ...] = ()


class Django(Framework):
    """One `ASGIHandler`.

    What ran is told by a function among those that Django calls before each view, as it calls
    `process_view` of a middleware. A middleware may choose another URL configuration for a request;
    then the view is another than expected, and nothing is stored.
    """

    @classmethod
    def reads(cls, app: Any) -> bool:
        """Whether it tells what it has chosen."""
        return isinstance(attribute(app, "_view_middleware"), list)

    def leaves(self) -> Sequence[Leaf]:
        """One for each pattern that does not depend on the language.

        More than one where the methods of a class of views differ in what they need.
        """
        self._by_chain: dict[tuple[int, ...], list[Leaf]] = {}
        self._login = requires_login(self.app._view_middleware)
        patterns = self._resolver().url_patterns
        self._of_language = {id(each) for each in patterns if _depends_on_language(each)}
        self._read(patterns, _Place())
        return [leaf for leaves in self._by_chain.values() for leaf in leaves]

    def version(self) -> object:
        """Patterns do not change while a process runs, unless a test overrides settings."""
        return self._resolver()

    def choose(self, scope: Mapping[str, Any]) -> Prediction:
        """As `URLResolver.resolve` does it, pattern for pattern, as long as that is certain."""
        if _tell not in self.app._view_middleware:
            self.app._view_middleware.insert(0, _tell)
        prefix = module("django.core.handlers.asgi").get_script_prefix(scope)
        path = scope["path"].removeprefix(prefix) if prefix else scope["path"]
        resolver = self._resolver()
        begun = resolver.pattern.match(path)
        for pattern in resolver.url_patterns if begun else ():
            if id(pattern) in self._of_language:
                return UNKNOWN
            try:
                match = pattern.resolve(begun[0])
            except module("django.urls").Resolver404:
                continue
            if match:
                # What led to it: the last that it has tried.
                chain = (pattern, *match.tried[-1]) if match.tried else (pattern,)
                own = {n: v for n, v in match.kwargs.items() if n not in match.extra_kwargs}
                leaves = self._by_chain.get(tuple(map(id, chain)), ())
                method = frozenset((scope["method"],))
                return found(next((leaf for leaf in leaves if leaf.takes(method)), None), own)
        return UNKNOWN

    def _resolver(self) -> Any:
        return module("django.urls").get_resolver()

    def _read(self, patterns: Sequence[Any], place: _Place) -> None:
        """Read the routes of a list of patterns."""
        for pattern in patterns:
            if _depends_on_language(pattern):
                continue
            view = attribute(pattern, "callback")
            part = part_of(pattern.pattern, last=view is not None, number=len(self._by_chain))
            below = _Place(
                place.path + part.text,
                place.params + part.params,
                place.name + _namespace(pattern),
                (*place.chain, id(pattern)),
            )
            if view is None:
                self._read(pattern.url_patterns, below)
            else:
                self._by_chain[below.chain] = [*self._leaves(pattern, view, below)]

    def _leaves(self, pattern: Any, view: Any, place: _Place) -> Iterator[Leaf]:
        """The routes of a pattern."""
        methods = _methods(attribute(view, "view_class"))
        groups: dict[tuple[Need, ...], frozenset[str] | None] = {}
        if methods is None:
            groups[tuple(needs_of(view, None, login=self._login))] = None
        else:
            groups |= apart(methods, lambda method: needs_of(view, method, login=self._login))
        for needs, taken in groups.items():
            yield leaf_of(
                pattern,
                view,
                place.path,
                methods=taken,
                path_params=place.params,
                name=place.name + (attribute(pattern, "name") or ""),
                needs=needs,
            )


async def _tell(request: Any, view: Any, _: Any, kwargs: Any) -> None:
    """Note which view has a request. Django awaits it before each view."""
    scope = attribute(request, "scope")
    if scope is not None:
        scope[RAN_KEY] = Ran(view, dict(kwargs))


def _depends_on_language(pattern: Any) -> bool:
    """Whether a pattern, or one below it, takes another path for another language."""
    own = pattern.pattern
    text = attribute(own, "_route")
    text = attribute(own, "_regex") if text is None else text
    if not isinstance(text, str):  # translated, or `i18n_patterns`
        return True
    inner = () if attribute(pattern, "callback") is not None else pattern.url_patterns
    return any(map(_depends_on_language, inner))


def _namespace(pattern: Any) -> str:
    name = attribute(pattern, "namespace")
    return f"{name}:" if name else ""


def _methods(kind: Any) -> frozenset[str] | None:
    """The methods for which a view class has functions; of a function they are not known.

    A class that dispatches by code of its own may take any.
    """
    usual = attribute(module("django.views"), "View")
    if kind is None or usual is None or attribute(kind, "dispatch") is not usual.dispatch:
        return None
    own = {name.upper() for name in kind.http_method_names if hasattr(kind, name)}
    return frozenset({*own, "HEAD"} if "GET" in own else own)
