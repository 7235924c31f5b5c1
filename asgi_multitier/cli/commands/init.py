"""`asgi-multitier init`: what could be written at an application's routes; no server, no edits."""

from argparse import Namespace

from ...manager.routes import proposals_of
from ...shadow.initial import Proposed
from ..application import add_application, application_of, made_at, shortened
from ..command import Command
from ..exits import Exit
from ..output import Output

_IMPORTS = "from asgi_multitier import CacheMiddleware, CacheStrategy, cached, invalidates"

_HOW = (
    "# Each line goes above the function of the route that is named over it. With shadow=True the",
    "# application goes on to answer, and what the cache would have answered is only compared.",
    "# Remove it where `asgi-multitier report` shows no wrong answers, and what is to check is so.",
)


async def _run(given: Namespace, output: Output) -> Exit:
    app = application_of(given, "init")
    found = proposals_of(app)
    output.json(found.as_json())
    proposed = [route for route in found.routes if route.annotation]
    left = [route for route in found.routes if not route.annotation]
    if not proposed:
        output.line("# No route is proposed to be cached.")
    else:
        for line in _HOW:
            output.line((line, "dim"))
        output.line((_IMPORTS, "green"))
        if not found.has_cache:
            output.line((_where(app, given), "dim"))
            output.line((_installed(app, _name(given)), "green"))
        for route in proposed:
            _propose(route, output)
    if left:
        output.line()
        output.line(("# Left as they are:", "bold"))
        for route in left:
            output.line(f"# {route.route}: {route.why}")
    return Exit.OK


def _where(app: object, given: Namespace) -> str:
    """Where the next line goes."""
    place = made_at(given)
    if given.factory:
        said = f", {place}" if place else ""
        return f"# In {given.app.partition(':')[2]}(){said}, before the application is returned:"
    if not _adds(app):
        file = f" of {place.rpartition(':')[0]}" if place else ""
        return f"# At the end{file}, after all other lines that use {_name(given)}:"
    said = f", which is {place}" if place else ""
    return f"# Below the line that makes {_name(given)}{said}:"


def _adds(app: object) -> bool:
    """Whether the application takes the cache by its `add_middleware`."""
    # Falcon has one as well, for components of another kind.
    return isinstance(getattr(app, "user_middleware", None), list)


def _installed(app: object, name: str) -> str:
    """How the cache gets around the application."""
    return (
        f"{name}.add_middleware(CacheMiddleware)"
        if _adds(app)
        else f"{name} = CacheMiddleware({name})"
    )


def _name(given: Namespace) -> str:
    """How the application is called in its module."""
    return "app" if given.factory else given.app.partition(":")[2]


def _propose(route: Proposed, output: Output) -> None:
    """What to paste for one route, below what it is for."""
    output.line()
    output.line((f"# {route.route}", "bold"), _place(route))
    output.line((f"# {route.why}", "dim"))
    for check in route.check:
        output.line((f"# check: {check}", "yellow"))
    output.line((route.annotation, "green"))


def _place(route: Proposed) -> str:
    """Where its function is, as short as it can be said from here."""
    return f"   {shortened(route.place)}" if route.place else ""


COMMAND = Command(
    "init",
    "What could be cached: annotations for an application's routes, to be checked and pasted.",
    add_application,
    _run,
)
