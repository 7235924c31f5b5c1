"""Virtual environments for the other caches, made for one run or kept by the user."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..servers import MEASURED, MissingError, Server, ask, running, serving


@dataclass(frozen=True, slots=True)
class Peer:
    """Another cache.

    Attributes:
        app: The module of this folder whose `app` makes its application.
        requirements: What is installed for it, besides uvicorn.
    """

    app: str
    requirements: tuple[str, ...]


PEERS = {
    "cashews": Peer("cashews_memory", ("cashews", "fastapi")),
    # Newer versions of FastAPI do not let it set its dependencies.
    "fast-cache-middleware": Peer(
        "fast_cache", ("fast-cache-middleware", "fastapi==0.115.*", "redis")
    ),
    "fastapi-cache2": Peer("fastapi_cache2", ("fastapi-cache2", "fastapi", "jinja2")),
    "hishel": Peer("hishel_sqlite", ("hishel[async]", "fastapi")),
    "starlette-caches": Peer("starlette_memory", ("starlette-caches", "fastapi")),
}


class Environments:
    """The environments of a run.

    Args:
        folder: Where they are made; None if the user does not want them: they need the network and
            a quarter of a minute each.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def serving(self, name: str, *, core: int | None = MEASURED) -> Iterator[Server]:
        """A server for one of `PEERS`, without a shared tier.

        Raises:
            MissingError: If it cannot be installed, or does not answer.
        """
        with contextlib.ExitStack() as stack:
            python = self.python(name, PEERS[name].requirements)
            try:
                app = f"benchmarks.peers.{PEERS[name].app}:app"
                server = stack.enter_context(serving(app, python=python, core=core, quiet=True))
                ask(server, "/items/7")
            except RuntimeError as error:
                print(error, file=sys.stderr)
                raise MissingError("does not work") from None
            yield server

    def python(self, name: str, requirements: Iterable[str]) -> str:
        """The interpreter of an environment, which is made if need be.

        Args:
            name: The name of its folder.
            requirements: What is installed in it, besides uvicorn.

        Raises:
            MissingError: If it cannot be installed, or the user does not want it.
        """
        if self._folder is None:
            raise MissingError("needs `--peers`")
        python = self._folder / name / "bin" / "python"
        if not python.exists():
            try:
                _run(sys.executable, "-m", "venv", str(self._folder / name))
                install = "-m", "pip", "install", "--quiet", "uvicorn[standard]"
                _run(str(python), *install, *requirements)
            except RuntimeError as error:
                print(error, file=sys.stderr)
                raise MissingError("cannot be installed") from None
        return str(python)


@contextlib.contextmanager
def environments(asked: bool, kept: Path | None = None) -> Iterator[Environments]:
    """The environments of a run, removed at its end unless they are kept.

    Args:
        asked: Whether the user wants them.
        kept: Where they are made and kept for later runs; None for a folder of this run.
    """
    if asked and kept is not None:
        yield Environments(kept.absolute())
        return
    if not asked:
        yield Environments(None)
        return
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        yield Environments(Path(folder))


def _run(*command: str) -> None:
    pipe = subprocess.PIPE
    with running(command, core=None, stdout=pipe, stderr=subprocess.STDOUT) as process:
        output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(output)
