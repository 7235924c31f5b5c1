"""The running program: whose modules it has, what its command serves, and its name."""

import inspect
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from ...routing.layers import attribute

_MAINS = ("__main__", "__mp_main__")
_TARGET = re.compile(r"(?:-[\w-]+=)?(?P<module>[^\W\d][\w.]*):(?P<name>[^\W\d][\w.]*)(?:\(.*\))?")
_SETTINGS = (".py", ".toml", ".json", ".yaml", ".yml", ".ini", ".cfg")


def _installed() -> Iterator[str]:
    """Directories of installed packages, those of the user's scheme and of commands included."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    schemes = {sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")}
    for scheme in schemes:
        yield from (sysconfig.get_path(kind, scheme) for kind in kinds)
    # Some distributions have directories of their own, such as `dist-packages`.
    yield from (path for path in sys.path if path.endswith("-packages"))
    yield from site.getsitepackages()


_INSTALLED = tuple({os.path.join(path, "") for path in _installed() if path})


def is_of_the_user(module: object) -> bool:
    """Whether a module's file lies neither in the standard library nor in an installed package."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and not _is_installed(file)


@lru_cache(1 << 14)
def _is_installed(file: str) -> bool:
    return file.startswith(_INSTALLED)


def served() -> set[tuple[str, str]]:
    """The modules, and names in them, that the command tells the server to serve.

    As in `uvicorn shop.factory:create --factory` and `gunicorn "shop.factory:create()"`. A class is
    a part of the server, such as a worker or a protocol.
    """
    matches = (_TARGET.fullmatch(word) for word in sys.argv[1:])
    pairs = {(match["module"], match["name"]) for match in matches if match}
    return {(module, name) for module, name in pairs if _is_there(module, name)}


def _is_there(module: str, name: str) -> bool:
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = attribute(found, part)
    return callable(found) and not inspect.isclass(found)


def place_of_the_command() -> str:
    """The working directory, and the words of the command that tell applications there apart.

    Those are modules and files of settings. Ports, sockets, levels and numbers of workers are not:
    an application that is served at two ports is one.
    """
    words = [word.rpartition("=")[2] for word in sys.argv[1:]]
    told = [word for word in words if _names_a_module(word) or _is_file_of_settings(word)]
    return "\0".join((os.path.realpath(os.getcwd()), *told))


def _names_a_module(word: str) -> bool:
    return is_of_the_user(sys.modules.get(word.partition(":")[0]))


def _is_file_of_settings(word: str) -> bool:
    return word.endswith(_SETTINGS) and os.path.isfile(word)


def real_name(name: str) -> str:
    """The name that a module has when it is imported, also if it runs as `__main__`."""
    if name not in _MAINS:
        return name
    main = sys.modules.get(name)
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None) or sys.argv[0] or ""
    return Path(str(file)).stem
