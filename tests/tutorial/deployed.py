"""The application of the pages on deployment, as they say it is started."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import yaml

from asgi_multitier.cli.exits import Exit
from tests.patience import wait_for
from tests.servers import ValkeyServer, free_port
from tests.tutorial import commands
from tests.tutorial.page import blocks, files

DEPLOYMENT, CONTAINERS = "guides/deployment.md", "guides/containers.md"
KUBERNETES, PROXIES = "guides/kubernetes.md", "guides/proxies.md"

COMPOSE = yaml.safe_load(files(CONTAINERS)["compose.yaml"])
SECRET = "a-secret-of-more-than-sixteen-characters"


def command_of(page: str, program: str) -> list[str]:
    """The words of the first command on a page that calls this program."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.splitlines():
                if line.startswith(f"{program} "):
                    return shlex.split(line)
    raise LookupError(f"{page} has no command of {program}")


class Deployed:
    """gunicorn with the application and the settings that the pages give.

    Args:
        place: An empty directory.
        runtime: A directory with a short path, where workers meet.
        redis: The server.
    """

    def __init__(self, place: Path, runtime: str, redis: ValkeyServer) -> None:
        for name in ("shop.py", "gunicorn.conf.py"):
            (place / name).write_text(files(DEPLOYMENT)[name])
        (place / "prices.json").write_text('{"1": 12, "2": 9}')
        self.redis = redis
        self.port = free_port()
        settings = COMPOSE["services"]["shop"]["environment"]
        given = {"REDIS_URL": redis.url, "ASGI_MULTITIER_SECRET": SECRET}
        # Workers of one test do not meet those of another, which would separate the tests here.
        kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        given["ASGI_MULTITIER_REDIS_TIMEOUT"] = "30"  # see `slow_machine`
        self.environment = {**kept, **settings, **given, "XDG_RUNTIME_DIR": runtime}
        self._place = place
        self._log = place / "log"
        program, *words = command_of(DEPLOYMENT, "gunicorn")
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", program, *words, "--bind", f"127.0.0.1:{self.port}"],
                cwd=place,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def wait(self) -> None:
        """Wait until both workers serve."""
        wait_for(self._is_ready, seconds=20)

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(self.said)
        return self.said.count("Application startup complete") == 2

    def get(self, path: str, **fields: str) -> httpx.Response:
        """What one of the workers answers."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=fields, timeout=60)

    def command(self, *words: str) -> str:
        """What a command of the command line writes, if it succeeds."""
        code, said = commands.run(list(words), self.environment)
        assert code == Exit.OK, said
        return said

    def stop(self) -> int:
        """Stop it as a container is stopped; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def kill(self) -> None:
        """End whatever is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def deployed(place: Path) -> Iterator[Deployed]:
    """The application over a server of its own, in processes that end with the block."""
    with ValkeyServer() as redis, tempfile.TemporaryDirectory(prefix="r-") as runtime:
        made = Deployed(place, runtime, redis)
        try:
            made.wait()
            yield made
        finally:
            made.kill()


_OWN = """
daemon off;
pid {folder}/pid;
error_log stderr warn;
{user}
"""
_OWN_HTTP = """
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
"""


@contextmanager
def nginx(program: str, folder: Path, behind: int) -> Iterator[int]:
    """nginx with the page's file, on a free port before another one; its port."""
    port = free_port()
    text = files(PROXIES)["nginx.conf"]
    text = re.sub(r"\blisten 80\b", f"listen 127.0.0.1:{port}", text)
    text = text.replace("server shop:8000;", f"server 127.0.0.1:{behind};")
    user = "user root;" if os.geteuid() == 0 else ""
    text = text.replace("http {", "http {" + _OWN_HTTP.format(folder=folder), 1)
    (folder / "nginx.conf").write_text(_OWN.format(folder=folder, user=user) + text)
    process = subprocess.Popen(
        [program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    )
    try:
        wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/alive", headers={"host": "localhost"}))
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)
