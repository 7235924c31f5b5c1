"""What an application shows of itself: its title, the module that holds it, and where that lies."""

import ast
import inspect
import os
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .layers import attribute, layers_of

_FRAMEWORKS = frozenset({"starlette", "fastapi", "asgi_multitier"})
_MAINS = ("__main__", "__mp_main__")


class Application(NamedTuple):
    """What tells one application from another.

    Attributes:
        title: Its title, as FastAPI and others have one; "" without.
        module: Dotted name of the module that holds it, or else of its endpoints' package.
        attribute: Its name in that module; "" if it is not held by one.
        directory: Absolute directory of that module, without symbolic links.
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
    held = _holder(layers, packages) or _defined(layers) or _of(packages)
    if held is None and app is not None and not _is_of_the_user(sys.modules.get("__main__")):
        # The program is the server's, which other applications run under as well.
        return Application(title, "app", "\0".join(sys.argv[1:]), os.path.realpath(os.getcwd()))
    module, name = held or ("__main__", "")
    return Application(title, _real_name(module), name, _directory(module))


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
    return sorted(found, key=lambda t: (not _is_of_the_user(sys.modules.get(t)), -tops[t], t))


def _holder(layers: Sequence[object], packages: Sequence[str]) -> tuple[str, str] | None:
    """The module in which the application is a variable, and the variable's name.

    A module that only imports it from there does not count, if another one is left.
    """
    wanted = {id(layer) for layer in layers}
    variables = list(_variables(packages))
    found = [(name, variable) for name, variable, value in variables if id(value) in wanted]
    found = found or [
        (name, variable)
        for name, variable, value in variables
        if callable(value) and any(id(layer) in wanted for layer in layers_of(value))
    ]
    if len(found) > 1:
        found = [pair for pair in found if not _imports(*pair)] or found
    ours = [pair for pair in found if pair[0].partition(".")[0] in packages]
    # `__main__` may be there a second time under its own name.
    return min(ours or found, key=lambda p: (_real_name(p[0]), p[1]), default=None)


def _variables(packages: Sequence[str]) -> Iterator[tuple[str, str, object]]:
    """Module, name and value of what the user's own modules and the endpoints' packages hold."""
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top not in _FRAMEWORKS and (top in packages or _is_of_the_user(module)):
            for variable, value in list(vars(module).items()):
                yield name, variable, value


def _is_of_the_user(module: object) -> bool:
    """Whether its file lies neither with the standard library nor with what was installed."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and not file.startswith(_INSTALLED)


_INSTALLED = tuple(
    {
        os.path.join(path, "")
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if (path := sysconfig.get_path(name))
    }
)


def _imports(name: str, attribute: str) -> bool:
    """Whether the module has the name by an import statement."""
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
        if _is_of_the_user(sys.modules.get(name)):
            return name, ""
    return None


def _of(packages: Sequence[str]) -> tuple[str, str] | None:
    """The user's own package; a library that brings endpoints is in other applications as well."""
    own = (top for top in packages if _is_of_the_user(sys.modules.get(top)))
    return next(((top, "") for top in own), None)


def _real_name(name: str) -> str:
    """The name that a module has when it is imported, also where it is the program's main."""
    if name not in _MAINS:
        return name
    main = sys.modules.get(name)
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__")
    file: Any = getattr(main, "__file__", None) or sys.argv[0] or ""
    return Path(file).stem


def _directory(name: str) -> str:
    module: ModuleType | None = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return os.path.dirname(os.path.realpath(file))
    paths = list(getattr(module, "__path__", ()))
    return os.path.realpath(paths[0] if paths else os.getcwd())
