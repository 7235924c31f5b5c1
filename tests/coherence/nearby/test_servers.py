"""Each server with two workers and nothing configured: an edit through one is seen by the other."""

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.figures import Figure
from tests.patience import wait_for
from tests.servers import free_port

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

APPLICATION = """
import os
from pathlib import Path
from fastapi import FastAPI, Response
from asgi_multitier import CacheMiddleware, cached, invalidates

app = FastAPI()
app.add_middleware(CacheMiddleware)
price = Path("price")

@app.get("/pid")
async def pid():
    return os.getpid()

@app.get("/price")
@cached(3600, tags=["price"])
async def read():
    return int(price.read_text())

@app.put("/price")
@invalidates(tags=["price"])
async def edit(amount: int):
    price.write_text(str(amount))
    return amount
"""

SERVERS = {
    "uvicorn": "-m uvicorn main:app --workers 2 --host 127.0.0.1 --port {port} --log-level warning",
    "gunicorn": (
        "-m gunicorn main:app --preload -w 2 -k uvicorn_worker.UvicornWorker -b 127.0.0.1:{port}"
        " --log-level warning"
    ),
    "granian": (
        "-m granian main:app --interface asgi --workers 2 --host 127.0.0.1 --port {port}"
        " --log-level warning"
    ),
    "hypercorn": "-m hypercorn main:app -w 2 -b 127.0.0.1:{port} --log-level WARNING",
}


class Worker:
    """A connection that one worker answers."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, method: str, target: str) -> str:
        self.connection.request(method, target)
        return self.connection.getresponse().read().decode()


@contextmanager
def workers(port: int, count: int) -> Iterator[list[Worker]]:
    """A connection to each of so many workers."""
    found: dict[int, Worker] = {}
    deadline = time.monotonic() + 50
    # A connection that stands occupies its worker, so the next one goes elsewhere.
    with ExitStack() as kept:
        while len(found) < count and time.monotonic() < deadline:
            worker = Worker(port)
            kept.callback(worker.connection.close)
            try:
                pid = int(worker.ask("GET", "/pid"))
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)  # no server yet
            else:
                found[pid] = worker  # the latest: a server closes what is idle for long
        assert len(found) == count
        yield list(found.values())


@contextmanager
def served(command: str, place: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The application behind a server, in processes that end with the block: port, environment."""
    (place / "main.py").write_text(APPLICATION)
    (place / "price").write_text("1")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="r-") as runtime:
        environment = {**os.environ, "REDIS_URL": "none", "XDG_RUNTIME_DIR": runtime}
        process = subprocess.Popen(
            [sys.executable, *command.format(port=port).split()],
            cwd=place,
            env=environment,
            start_new_session=True,
        )
        try:
            yield port, environment
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


PURGE = """
from asgi_multitier import CacheManager
assert CacheManager.of("main:app").sync.invalidate_tags("price")
"""


@pytest.mark.timeout(120)
def test_script_from_elsewhere_is_heard_by_the_workers(tmp_path: Path) -> None:
    """It ends at once after the call, without closing anything, and says nothing."""
    command = f"{SERVERS['uvicorn']} --timeout-keep-alive 100"
    with served(command, tmp_path) as (port, environment), workers(port, 2) as pair:
        assert [int(each.ask("GET", "/price")) for each in pair] == [1, 1]
        (tmp_path / "price").write_text("2")
        script = subprocess.run(
            [sys.executable, "-c", PURGE],
            cwd="/",
            env={**environment, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
            capture_output=True,
            check=True,
        )
        assert script.stderr == b""
        wait_for(lambda: [int(each.ask("GET", "/price")) for each in pair] == [2, 2])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", SERVERS)
def test_edit_through_one_worker_is_seen_by_the_other(
    server: str, tmp_path: Path, figure: Figure
) -> None:
    """Nothing is configured and no server runs: the workers hear each other all the same."""
    waits = []
    with served(SERVERS[server], tmp_path) as (port, _), workers(port, 2) as pair:
        for amount in range(2, 22):
            editor, other = pair if amount % 2 else reversed(pair)
            assert [int(each.ask("GET", "/price")) for each in pair] == [amount - 1] * 2
            assert int(editor.ask("PUT", f"/price?amount={amount}")) == amount
            assert int(editor.ask("GET", "/price")) == amount
            waits.append(wait_for(lambda: int(other.ask("GET", "/price")) == amount))  # noqa: B023
    figure(
        f"{server}, two workers, no Redis: edit seen after", f"{max(waits) * 1000:.0f} ms", "50 ms"
    )


UNWRITTEN = """
from asgi_multitier import CacheManager
cache = CacheManager(redis_url="redis://127.0.0.1:1", namespace="shop", dotenv=None)
assert not cache.sync.invalidate_tags("price")
"""


def test_program_that_ends_before_its_invalidations_were_written_says_so(tmp_path: Path) -> None:
    """Nothing listens there, and nothing was closed."""
    script = subprocess.run(
        [sys.executable, "-c", UNWRITTEN],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert b"shop: 1 invalidations are lost: the program ends" in script.stderr
