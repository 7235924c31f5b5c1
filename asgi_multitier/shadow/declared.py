"""What the declaration and the code of an endpoint say about caching its answers. Nothing runs.

Names in code are hints: what a function calls elsewhere is not seen. So what speaks against a cache
is enough to leave a route alone, and nothing here is enough to be sure of one.
"""

import dis
import inspect
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any, Final, get_args, get_origin, get_type_hints

from ..routing.endpoints import is_of_framework
from ..routing.layers import attribute
from ..routing.routes import Leaf
from ..routing.security import Need
from .edits import segments


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PERSONAL: Final = _words(
    "me my self account accounts profile cart basket checkout session sessions login logout signin "
    "signout signup register token oauth oauth2 auth callback admin inbox notifications"
)
"""Parts of paths below which answers mostly belong to one client."""

_MOMENT: Final = _words(
    "health healthz healthcheck ready readyz readiness live livez liveness ping status metrics now "
    "time clock random uuid events stream sse"
)
"""Parts of paths below which answers are of this moment."""

_RANDOM: Final = _words(
    "random randint randrange choice choices shuffle uuid1 uuid4 token_hex token_urlsafe "
    "token_bytes urandom now utcnow today time time_ns"
)
"""Names in code whose results are never the same twice. A function that sleeps is none of them."""

_SOURCES: Final = _words("random secrets")
"""Modules whose functions all give results that are never the same twice."""

_MEASURES: Final = _words("perf_counter perf_counter_ns monotonic monotonic_ns process_time")
"""Names in code that measure how long something takes: mostly for a log, not for an answer."""

_ACTS: Final = _words(
    "commit save bulk_create add_task enqueue apply_async publish send_message sendmail "
    "set_cookie delete_cookie"
)
"""Names in code that do something besides answering."""

_OF_ONE_CLIENT: Final = ("session", "user", "auth", "client", "cookies", "headers", "state")
"""Attributes of a request that a URL does not say."""

_SEPARATED: Final = "write vary_by= with a function that returns what separates the answers"

_REMEDIES: Final = {
    "cookies": "write @cached with cookies=[...] that has the name of each cookie that it reads",
    "headers": "write @cached with vary=[...] that has the name of each header that it reads",
}
"""What puts that which an endpoint reads into the key: its code does not say all the names."""

_STREAMS: Final = ("StreamingResponse", "EventSourceResponse", "FileResponse", "RedirectResponse")

_IDENTITIES: Final = ("id", "user_id", "uid", "pk", "uuid", "username", "sub", "email")
"""Attributes of what a dependency returns by which users are told apart."""

_TEXTS: Final = ("str", "int", "UUID")
"""Types of arguments that are told apart as they are."""


def objection(leaf: Leaf) -> str:
    """Why the answers of a route are better not cached, as far as it says; "" for nothing."""
    endpoint = leaf.endpoint
    if leaf.opaque:
        return "Its own code decides which requests it takes"
    if _is_mounted(leaf):
        return (
            "Something without routes is mounted here, such as static files: write a Rule if its "
            "answers are the same for all"
        )
    if is_of_framework(endpoint):
        return "It is a page of the framework's own"
    if kind := _streamed(leaf):
        return f"It answers by a {kind}"
    for part in segments(leaf.path):
        if part.lower() in _PERSONAL:
            return f"Below /{part} answers mostly belong to one client"
        if part.lower() in _MOMENT:
            return f"Below /{part} answers are of this moment"
    return _against(endpoint)


def _against(endpoint: Any) -> str:
    """What the code of an endpoint says against a cache; "" for nothing."""
    names = names_in(endpoint)
    if found := sorted(names & _RANDOM):
        return f"Its code uses {found[0]}: its answer may be another one each time"
    if found := sorted(names & _ACTS):
        return f"Its code uses {found[0]}: a hit would leave that out"
    if takes_request(endpoint):
        for name in _OF_ONE_CLIENT:
            if name in names:
                return (
                    f"It takes the request, and its code reads {name}: "
                    f"{_REMEDIES.get(name, _SEPARATED)}"
                )
    return ""


def measured(endpoint: Any) -> str:
    """The name in the code of an endpoint by which it measures a time; "" for none."""
    return min(names_in(endpoint) & _MEASURES, default="")


def _is_mounted(leaf: Leaf) -> bool:
    """Whether another application is there, of which neither methods nor routes are known."""
    passes_on = attribute(leaf.matcher, "app") is not None
    return leaf.methods is None and passes_on and attribute(leaf.matcher, "endpoint") is None


def _streamed(leaf: Leaf) -> str:
    """The kind of an answer that is sent while it is made, or from a file; "" for any other."""
    function = _function(leaf.endpoint)
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return "generator"
    given = attribute(leaf.matcher, "response_class")
    kinds = [given, getattr(given, "value", None), _hints(function).get("return")]
    names = {getattr(kind, "__name__", "") for kind in kinds}
    return next((name for name in _STREAMS if name in names), "")


def _function(endpoint: Any) -> Any:
    """The function that answers; for a class, its `get`."""
    if inspect.isclass(endpoint):
        endpoint = getattr(endpoint, "get", None)
    while hasattr(endpoint, "func"):  # a `partial`
        endpoint = endpoint.func
    return inspect.unwrap(endpoint) if callable(endpoint) else None


def _hints(function: Any) -> dict[str, Any]:
    """What is annotated; nothing where that cannot be evaluated."""
    try:
        return get_type_hints(function, include_extras=False)
    except Exception:  # noqa: BLE001  # annotations are the application's own code
        return dict(getattr(function, "__annotations__", None) or {})


def names_in(endpoint: Any) -> frozenset[str]:
    """Names of globals and attributes that an endpoint uses.

    Functions of its own package that it calls by a global name are looked into as well. The name of
    a module or a class is the place of others: `time.sleep` is `sleep`, and no use of `time`.
    """
    found: set[str] = set()
    waiting, seen = [_function(endpoint)], set[CodeType]()
    while waiting:
        function = waiting.pop()
        code = getattr(function, "__code__", None)
        if not isinstance(code, CodeType) or code in seen:
            continue
        seen.add(code)
        around = getattr(function, "__globals__", {})
        for name, is_global in _names(code):
            given = around.get(name) if is_global else None
            if not isinstance(given, ModuleType | type):
                found.add(name)
            elif isinstance(given, ModuleType) and given.__name__ in _SOURCES:
                found.add(given.__name__)
            if inspect.isroutine(given) and _package(given) == _package(function):
                waiting.append(_function(given))
    return frozenset(found)


def _package(function: Any) -> str:
    """The top package of the module in which a function is."""
    return (getattr(function, "__module__", None) or "").partition(".")[0]


_OF_GLOBALS: Final = ("LOAD_GLOBAL", "LOAD_NAME")
_OF_MODULES: Final = "IMPORT_NAME"


def _names(code: CodeType) -> Iterator[tuple[str, bool]]:
    """Names that code uses, and whether each is a global one."""
    for step in dis.get_instructions(code):
        if step.opcode in dis.hasname and (step.opname != _OF_MODULES or step.argval in _SOURCES):
            yield str(step.argval), step.opname in _OF_GLOBALS
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def takes_request(endpoint: Any) -> bool:
    """Whether the function is given the request itself, or uses that of its context."""
    function = _function(endpoint)
    if function is None:
        return False
    hints = _hints(function)
    code = getattr(function, "__code__", None)
    taken = code.co_varnames[: code.co_argcount] if isinstance(code, CodeType) else ()
    return (
        not {"request", "req"}.isdisjoint(taken)
        or "request" in names_in(endpoint)
        or any(
            getattr(hint, "__name__", "") in ("Request", "HTTPConnection")
            for hint in hints.values()
        )
    )


def separation(leaf: Leaf, needs: list[Need]) -> str:
    """A template that tells the users of a guarded route apart; "" where none is certain.

    Args:
        leaf: The route.
        needs: Arguments that dependencies make of credentials.
    """
    hints = _hints(_function(leaf.endpoint))
    parts = [_part(need.name, hints.get(need.name)) for need in needs]
    return ":".join(f"{{{part}}}" for part in parts) if all(parts) else ""


def _part(argument: str, hint: Any) -> str:
    """How a template names what tells users apart in one argument."""
    if get_origin(hint) is not None:
        kinds = [one for one in get_args(hint) if one is not type(None)]
        hint = kinds[0] if len(kinds) == 1 else None
    if getattr(hint, "__name__", "") in _TEXTS:
        return argument
    known = {*getattr(hint, "model_fields", ()), *getattr(hint, "__annotations__", ())}
    return next((f"{argument}.{name}" for name in _IDENTITIES if name in known), "")


def place_of(endpoint: Any) -> str:
    """Where the function is written, as `file:line`; "" where that is not known."""
    code = getattr(_function(endpoint), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, CodeType) else ""
