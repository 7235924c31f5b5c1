"""A server with several workers on one port: a scrape that meets one of them has all."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.patience import wait_for
from tests.servers import free_port

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

APPLICATION = """
from fastapi import FastAPI, Request
from asgi_multitier import CacheManager, CacheMiddleware, cached

cache = CacheManager(redis_url=None, namespace="shop")
app = FastAPI()
app.add_middleware(CacheMiddleware, cache=cache)
app.mount("/metrics", cache.metrics())

@app.get("/stats")
async def stats():
    return await cache.metrics.host_json()

@app.get("/products/{id}")
@cached(300)
async def product(id: int) -> int:
    return id
"""


@contextmanager
def served(place: Path) -> Iterator[int]:
    """The application behind uvicorn with three workers; its port."""
    (place / "main.py").write_text(APPLICATION)
    port = free_port()
    command = "-m uvicorn main:app --workers 3 --host 127.0.0.1 --log-level warning --port"
    with tempfile.TemporaryDirectory(prefix="r-") as runtime:
        process = subprocess.Popen(
            [sys.executable, *command.split(), str(port)],
            cwd=place,
            env={**os.environ, "XDG_RUNTIME_DIR": runtime},
            start_new_session=True,
        )
        try:
            yield port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ask(port: int, target: str) -> str:
    """What one of the workers answers, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", target)
        return connection.getresponse().read().decode()
    except http.client.HTTPException as error:  # a worker that was killed meanwhile
        raise ConnectionError from error
    finally:
        connection.close()


def scraped(port: int) -> dict[tuple[str, str], float]:
    """The requests of the route that each worker has counted, and how many did not answer."""
    found = {}
    for family in text_string_to_metric_families(ask(port, "/metrics/")):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "asgi_multitier_workers_unanswered":
                found["unanswered", ""] = sample.value
            if sample.name.endswith("_requests_total") and labels["route"] == "/products/{id}":
                key = (labels["worker"], "requests")
                found[key] = found.get(key, 0) + sample.value
            if sample.name == "asgi_multitier_info":
                found[labels["worker"], "info"] = sample.value
    return found


def told(port: int) -> Any:
    """The statistics of the machine."""
    return json.loads(ask(port, "/stats"))


def workers(port: int) -> list[tuple[int, str]]:
    """The workers that statistics are of."""
    return [(one["worker"], one["missing"]) for one in told(port)["workers"]]


@pytest.mark.timeout(240)
def test_a_scrape_has_all_workers_also_after_one_was_killed(tmp_path: Path) -> None:
    """The new one takes the number of the killed one, so the series go on."""
    three = [(number, "") for number in range(3)]
    everywhere = {("unanswered", ""): 0.0} | {(str(number), "info"): 1.0 for number in range(3)}
    with served(tmp_path) as port:
        wait_for(lambda: workers(port) == three, seconds=20)
        for number in range(60):
            ask(port, f"/products/{number % 10}")
        found = scraped(port)
        requests = {key: value for key, value in found.items() if key[1] == "requests"}
        assert sum(requests.values()) == 60
        assert {key: value for key, value in found.items() if key not in requests} == everywhere
        assert [scraped(port) for _ in range(3)] == [found] * 3
        (route,) = [one for one in told(port)["routes"] if one["route"] == "/products/{id}"]
        assert route["requests"] == 60

        (killed,) = [one["pid"] for one in told(port)["workers"] if one["worker"] == 1]
        os.kill(killed, signal.SIGKILL)
        wait_for(
            lambda: (
                workers(port) == three
                and killed not in [one["pid"] for one in told(port)["workers"]]
            ),
            seconds=20,
        )
        after = scraped(port)
        assert after.pop(("1", "requests"), 0.0) <= 1
        del found["1", "requests"]
        assert after == found
