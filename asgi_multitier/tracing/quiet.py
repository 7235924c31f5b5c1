"""The context of tasks and timers that belong to no request.

What was set around a request is not around these. Where a library that instruments other libraries
is loaded, it makes no spans of what they ask a server: they would be roots without a meaning, some
of them each second for as long as the process lives.
"""

import sys
from contextvars import Context, copy_context
from types import ModuleType

_UTILS = "opentelemetry.instrumentation.utils"

_quiet: tuple[ModuleType, Context] | None = None


def background() -> Context:
    """A context for a task or a timer of the cache's own, in which instrumentation is silent."""
    utils = sys.modules.get(_UTILS)
    return Context() if utils is None else _silent(utils).copy()


def _silent(utils: ModuleType) -> Context:
    """An otherwise empty context in which instrumentation is silent; made once."""
    global _quiet
    if _quiet is None or _quiet[0] is not utils:
        _quiet = (utils, Context().run(_silenced, utils))
    return _quiet[1]


def _silenced(utils: ModuleType) -> Context:
    try:
        with utils.suppress_instrumentation():
            return copy_context()
    except Exception:  # noqa: BLE001  # another release of a library: its spans are a nuisance only
        return Context()
