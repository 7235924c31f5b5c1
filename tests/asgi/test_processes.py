"""Several server processes over one real server: what one changes, kills or stops, others see."""

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.asgi.processes import Worker, workers
from tests.figures import Figure, seconds
from tests.patience import PATIENCE, wait_for
from tests.servers import ValkeyServer

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes


def detail(reply: httpx.Response) -> str:
    """What `Cache-Status` says."""
    return str(reply.headers["cache-status"])


def until(worker: Worker, target: str, text: str, seconds: float = 5) -> float:
    """Ask until the answer is this text; returns the seconds that it took."""
    begun = time.monotonic()
    while (got := worker.client.get(target).text) != text:
        assert time.monotonic() - begun < seconds * PATIENCE, f"{got!r} and not {text!r}"
    return time.monotonic() - begun


def wait_for_line(traces: Path, number: int = 1) -> None:
    """Wait until so many runs of the slow origin have begun."""
    wait_for(lambda: (traces / "lines").exists() and len(lines(traces)) >= number)


def lines(traces: Path) -> list[str]:
    """The runs that were noted."""
    return (traces / "lines").read_text().splitlines()


def test_processes_share_what_one_of_them_filled_and_hear_of_every_edit(
    valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """A fill is a hit in the second tier elsewhere; an edit is never followed by an older value."""
    with workers(2, tmp_path, valkey.url, namespace) as (one, two):
        for worker in (one, two):
            wait_for(lambda: worker.client.get("/stats").json()["trusted"])  # noqa: B023
        for number in range(1_000):
            one.client.get(f"/value?{number}")
            if one.client.get("/stats").json()["writes"]:
                break
        assert "detail=l2" in detail(two.client.get(f"/value?{number}"))
        for number in range(1, 51):
            one, two = two, one
            assert one.client.put(f"/value/{number}").status_code == 200
            assert one.client.get("/value").text == str(number)
            until(two, "/value", str(number), seconds=1)
            assert two.client.get("/value").text == str(number)
        assert "hit" in detail(one.client.get("/value"))
        assert "hit" in detail(two.client.get("/value"))


def test_a_process_killed_in_the_middle_of_a_fill_holds_nobody_up(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """The other one fills by itself within a second, and nothing half done can be read."""
    with workers(2, tmp_path, valkey.url, namespace) as (one, two), ThreadPoolExecutor() as pool:
        lost = pool.submit(one.client.get, "/slow")
        wait_for_line(tmp_path)
        one.stop(signal.SIGKILL)
        assert isinstance(lost.exception(timeout=60), httpx.TransportError)
        (tmp_path / "go").touch()
        begun = time.monotonic()
        reply = two.client.get("/slow")
        taken = time.monotonic() - begun

        figure("process killed in a fill, another answers after", seconds(taken), "1 s")
        assert reply.text == "slow " * 1000
        assert "stored" in detail(reply)


def test_a_stampede_runs_the_origin_once_in_each_process(
    valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """Many callers at once over two processes: two runs."""
    with workers(2, tmp_path, valkey.url, namespace) as both, ThreadPoolExecutor(40) as pool:
        replies = [pool.submit(both[n % 2].client.get, "/slow") for n in range(40)]
        wait_for_line(tmp_path, 2)
        for worker in both:
            wait_for(lambda: worker.client.get("/stats").json()["waiting"] == 19)  # noqa: B023
        (tmp_path / "go").touch()

        assert {reply.result(timeout=120).text for reply in replies} == {"slow " * 1000}
        assert lines(tmp_path) == ["slow"] * 2


@contextmanager
def idle_connection(worker: Worker) -> Iterator[socket.socket]:
    """A connection that had one answer, and asks nothing more."""
    with socket.create_connection(("127.0.0.1", worker.port), timeout=60) as link:
        link.sendall(b"GET /stats HTTP/1.1\r\nhost: example.org\r\n\r\n")
        assert link.recv(65_536).startswith(b"HTTP/1.1 200")
        yield link


def wait_for_end(link: socket.socket) -> None:
    """Wait until the server closes it, which is what it begins its end with."""
    while link.recv(65_536):
        pass


def test_an_orderly_stop_answers_what_is_in_flight(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """SIGTERM under load: what is under way is answered, it exits in time and without complaint."""
    worker = Worker(tmp_path, valkey.url, namespace).wait()
    with idle_connection(worker) as idle, ThreadPoolExecutor(10) as pool:
        replies = [pool.submit(worker.client.get, "/slow") for _ in range(8)]
        wait_for(lambda: worker.client.get("/stats").json()["waiting"] == 7)
        begun = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        wait_for_end(idle)
        (tmp_path / "go").touch()
        said, _ = worker.process.communicate(timeout=120)
        taken = time.monotonic() - begun
        worker.client.close()

        figure("SIGTERM under load, ended after", seconds(taken), "7 s")
        assert worker.process.returncode in (0, -signal.SIGTERM)
        assert {reply.result(timeout=60).text for reply in replies} == {"slow " * 1000}
        assert said == ""


def test_a_wrong_rule_keeps_the_server_from_starting(
    valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """The server exits with an error that says what is wrong."""
    worker = Worker(tmp_path, valkey.url, namespace, "served_wrong:app")
    said, _ = worker.process.communicate(timeout=120)
    worker.client.close()

    assert worker.process.returncode != 0
    assert "{nothing}" in said


def test_a_server_without_lifespan_caches(
    valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """The first request starts the manager."""
    worker = Worker(tmp_path, valkey.url, namespace, "served:app", "--lifespan", "off").wait()
    try:
        worker.client.get("/value")
        assert "hit" in detail(worker.client.get("/value"))
    finally:
        worker.stop(signal.SIGKILL)
