"""What an application shows of itself: its title, its module, and that module's directory."""

import ast
import inspect
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from types import FunctionType, ModuleType
from typing import NamedTuple

from ...routing.layers import attribute, layers_of
from .program import is_of_the_user, place_of_the_command, real_name, served

_FRAMEWORKS = frozenset({"starlette", "fastapi", "asgi_multitier"})


class Application(NamedTuple):
    """What tells one application from another.

    Attributes:
        title: Its title, as FastAPI and others have one; "" without.
        module: Dotted name of the module that holds it, or else of its endpoints' package.
        attribute: The variable that holds it in that module; "" if none does.
        directory: Absolute directory of that module, without symbolic links. If it has none, the
            working directory, and the words of the command that name modules or settings.
    """

    title: str
    module: str
    attribute: str
    directory: str


def describe(app: object, endpoints: Iterable[object] = ()) -> Application:
    """Find out what an application shows of itself.

    Args:
        app: An ASGI application, or one that wraps it in `.app` again and again; None for the
            program that runs.
        endpoints: The endpoints of its routes.
    """
    layers = [owner for layer in layers_of(app) for owner in _with_owner(layer)]
    title = next((text for layer in layers if (text := _title(layer))), "")
    packages = _packages(endpoints)
    held = (
        _holder(layers, packages) or _from_command(packages) or _defined(layers) or _maker(layers)
    )
    if held is None and app is not None:
        # The program is a server, under which other applications run as well.
        return Application(title, "app", "", place_of_the_command())
    module, name = held or ("__main__", "")
    return Application(title, real_name(module), name, _directory(module))


def _with_owner(layer: object) -> tuple[object, ...]:
    """A layer, and the object whose method it is: `app.asgi_app` of Quart."""
    owner = layer.__self__ if inspect.ismethod(layer) else None
    return (layer,) if owner is None else (layer, owner)


def _title(layer: object) -> str:
    title = attribute(layer, "title")
    return title if isinstance(title, str) else ""


def _packages(endpoints: Iterable[object]) -> list[str]:
    """Top packages of the endpoints' modules: the user's own first, then the most frequent."""
    names = (getattr(endpoint, "__module__", None) or "" for endpoint in endpoints)
    tops = Counter(name.partition(".")[0] for name in names)
    found = [top for top in tops if top and top not in _FRAMEWORKS]
    return sorted(found, key=lambda t: (not is_of_the_user(sys.modules.get(t)), -tops[t], t))


def _holder(layers: Sequence[object], packages: Sequence[str]) -> tuple[str, str] | None:
    """The module in which the application is a variable, and the variable's name.

    A module that only imports it does not count, if there is another one.
    """
    wanted = {id(layer) for layer in layers}
    if not wanted:
        return None
    held = list(variables(packages))
    found = [(name, variable) for name, variable, value in held if id(value) in wanted]
    found = found or [
        (name, variable)
        for name, variable, value in held
        if may_wrap(value) and any(id(layer) in wanted for layer in layers_of(value))
    ]
    if len(found) > 1:
        found = [pair for pair in found if not _imports(*pair)] or found
    ours = [pair for pair in found if pair[0].partition(".")[0] in packages]
    # `__main__` may be loaded a second time under its own name.
    return min(ours or found, key=lambda p: (real_name(p[0]), p[1]), default=None)


def variables(packages: Sequence[str]) -> Iterator[tuple[str, str, object]]:
    """Module, name and value of each variable of the user's modules and the endpoints' packages."""
    for name, module in list(sys.modules.items()):
        if _may_hold(name, packages):
            for variable, value in list(vars(module).items()):
                yield name, variable, value


def may_wrap(value: object) -> bool:
    """Whether a variable may be an application with another one in it.

    A function can hold none without attributes; of all variables most are such.
    """
    return bool(value.__dict__) if type(value) is FunctionType else callable(value)


def _from_command(packages: Sequence[str]) -> tuple[str, str] | None:
    """What the command tells the server to serve, or the user's own program that is the server.

    The application of a factory is no variable, and its endpoints may all come from packages that
    other applications use as well.
    """
    found = {pair for pair in served() if _may_hold(pair[0], packages)}
    if len(found) == 1:
        return found.pop()
    return ("__main__", "") if is_of_the_user(sys.modules.get("__main__")) else None


def _may_hold(name: str, packages: Sequence[str]) -> bool:
    """Whether a module is the user's own, or of a package that has endpoints."""
    top = name.partition(".")[0]
    return top not in _FRAMEWORKS and (top in packages or is_of_the_user(sys.modules.get(name)))


def _imports(name: str, attribute: str) -> bool:
    """Whether the module gets the name by an import statement."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    aliases = (
        alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    )
    return any((alias.asname or alias.name) == attribute for alias in aliases)


def _defined(layers: Sequence[object]) -> tuple[str, str] | None:
    """Where the innermost layer was defined, if it is a function or a class of the user's own."""
    for layer in reversed(layers):
        name = getattr(layer, "__module__", None)
        if not isinstance(name, str) or name.partition(".")[0] in _FRAMEWORKS:
            continue
        if is_of_the_user(sys.modules.get(name)):
            return name, ""
    return None


def _maker(layers: Sequence[object]) -> tuple[str, str] | None:
    """The user's own package that can make such an application, if only one can.

    Its modules hold the framework or its class. A package that only brings endpoints does not, and
    may be in other applications as well.
    """
    kinds = [type(layer) for layer in layers if not inspect.isroutine(layer)]
    frameworks = [sys.modules.get(kind.__module__.partition(".")[0]) for kind in kinds]
    wanted = {id(thing) for thing in (*kinds, *frameworks) if thing is not None}
    if not wanted:
        return None
    tops = {name.partition(".")[0] for name, _, value in variables(()) if id(value) in wanted}
    return (tops.pop(), "") if len(tops) == 1 else None


def _directory(name: str) -> str:
    module: ModuleType | None = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return os.path.dirname(os.path.realpath(file))
    paths = list(getattr(module, "__path__", ()))
    return os.path.realpath(paths[0]) if paths else place_of_the_command()
