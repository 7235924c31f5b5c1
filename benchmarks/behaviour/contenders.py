"""Who is asked: each with the module of its application, and the packages that it needs."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo_app.valkey import Valkey

from .. import proxies
from ..peers.environment import Environments
from ..servers import Server, serving
from .two_processes import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A cache that is asked.

    Attributes:
        app: The module of `benchmarks.peers.answers` that makes its application.
        requirements: What is installed for it, besides uvicorn, the package that is told with its
            version first; none for this environment.
        proxy: What is put in front of the application; None for nothing.
    """

    app: str
    requirements: tuple[str, ...] = ()
    proxy: Callable[..., AbstractContextManager[Server]] | None = None

    def python(self, name: str, peers: Environments) -> str:
        """The interpreter that it runs in.

        Raises:
            MissingError: If it cannot be installed.
        """
        return peers.python(name, self.requirements) if self.requirements else sys.executable


US = "asgi-multitier"

DECORATORS = {
    "fastapi-cache2": Contender(
        app="fastapi_cache2", requirements=("fastapi-cache2[redis]", "fastapi")
    ),
    "cashews": Contender(app="cashews_both", requirements=("cashews[redis]", "fastapi")),
    "aiocache": Contender(app="aiocache_both", requirements=("aiocache[redis]", "fastapi")),
}
MIDDLEWARES = {
    "hishel": Contender(app="hishel_both", requirements=("hishel[fastapi,redis]",)),
    "starlette-caches": Contender(
        app="starlette_caches_both", requirements=("starlette-caches", "fastapi", "redis")
    ),
    "fast-cache-middleware": Contender(
        app="fast_cache",
        # Newer versions of FastAPI do not let it set its dependencies.
        requirements=("fast-cache-middleware", "fastapi==0.115.*", "redis"),
    ),
    "Django": Contender(app="django_site", requirements=("django", "redis")),
}
PROXIES = {
    "nginx": Contender(app="uncached", proxy=proxies.nginx),
    "Varnish": Contender(app="uncached", proxy=proxies.varnish),
}
CONTENDERS = {US: Contender(app="multitier"), **DECORATORS, **MIDDLEWARES, **PROXIES}


@contextmanager
def one_process(contender: Contender, python: str, folder: Path) -> Iterator[Server]:
    """One process of it, with everything in memory.

    Raises:
        MissingError: If its proxy is not installed.
    """
    with ExitStack() as stack:
        server = stack.enter_context(_serving(contender, python, folder, ""))
        if contender.proxy is not None:
            server = stack.enter_context(contender.proxy(server, core=None))
        yield server


@contextmanager
def two_processes(contender: Contender, python: str, folder: Path) -> Iterator[Pair]:
    """Two processes of it that share a server."""
    with ExitStack() as stack:
        valkey = stack.enter_context(Valkey())
        one, two = (
            stack.enter_context(_serving(contender, python, folder, valkey.url)) for _ in range(2)
        )
        yield Pair(one, two, valkey)


def _serving(
    contender: Contender, python: str, folder: Path, url: str
) -> AbstractContextManager[Server]:
    app = f"benchmarks.peers.answers.{contender.app}:app"
    env = {"PEER_FOLDER": str(folder), "PEER_REDIS_URL": url}
    return serving(app, python=python, env=env, core=None, quiet=True)


def version(name: str, peers: Environments) -> str:
    """The version of one of `CONTENDERS` that is asked.

    Raises:
        MissingError: If it is not there.
    """
    contender = CONTENDERS[name]
    if contender.proxy is not None:
        return proxies.version("nginx" if contender.proxy is proxies.nginx else "varnishd")
    package = contender.requirements[0].partition("[")[0] if contender.requirements else US
    text = f"import importlib.metadata as m; print(m.version({package!r}))"
    command = [contender.python(name, peers), "-c", text]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
