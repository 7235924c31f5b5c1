"""The context of tasks and timers that belong to no request.

What was set around a request is not around these. Where a library that instruments other libraries
is loaded, it makes no spans of what they ask a server: they would be roots without a meaning, some
of them each second for as long as the process lives.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context, copy_context
from types import ModuleType

_UTILS = "opentelemetry.instrumentation.utils"

_quiet: tuple[ModuleType, Context] | None = None


def background() -> Context:
    """A context for a task or a timer of the cache's own, in which instrumentation is silent."""
    utils = sys.modules.get(_UTILS)
    return Context() if utils is None else _silent(utils).copy()


def silence() -> AbstractContextManager[None]:
    """Instrumentation is silent in the code inside, which belongs to no request."""
    utils = sys.modules.get(_UTILS)
    silent = None if utils is None else getattr(utils, "suppress_instrumentation", None)
    return nullcontext() if silent is None else silent()


def _silent(utils: ModuleType) -> Context:
    """An otherwise empty context in which instrumentation is silent; made once."""
    global _quiet
    if _quiet is None or _quiet[0] is not utils:
        _quiet = (utils, Context().run(_silenced))
    return _quiet[1]


def _silenced() -> Context:
    with silence():
        return copy_context()
