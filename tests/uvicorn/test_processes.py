"""The protocols on uvicorn's command line: several workers, and a version that is not known."""

import importlib
import signal
import sys
from pathlib import Path

import httpx
import pytest
import uvicorn

from asgi_multitier import ConfigError
from asgi_multitier import uvicorn as ours
from tests.asgi.processes import Worker
from tests.patience import wait_for
from tests.servers import ValkeyServer

by_name = pytest.mark.skipif(
    tuple(map(int, uvicorn.__version__.split(".")[:2])) < (0, 36),
    reason="uvicorn before 0.36 takes no protocol by its name on the command line",
)


@by_name
@pytest.mark.no_cover
@pytest.mark.parametrize("name", ["HttpToolsProtocol", "H11Protocol"])
def test_edits_reach_other_processes(
    name: str, valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """What each of two servers knows by its bytes is dropped when the other edits it."""
    http = ("--http", f"asgi_multitier.uvicorn:{name}")
    made = [Worker(tmp_path, valkey.url, namespace, "served:app", *http) for _ in range(2)]
    try:
        one, two = (worker.wait() for worker in made)
        for worker in (one, two):
            wait_for(lambda: worker.client.get("/stats").json()["trusted"])  # noqa: B023
        for number in range(1, 21):
            one, two = two, one
            assert one.client.put(f"/value/{number}").status_code == 200
            for _ in range(3):
                assert one.client.get("/value").text == str(number)
            wait_for(lambda: two.client.get("/value").text == str(number))  # noqa: B023
            for _ in range(4):
                reply = two.client.get("/value")
                assert reply.text == str(number)
            assert "detail=l1" in reply.headers["cache-status"]
    finally:
        for worker in made:
            said = worker.stop(signal.SIGTERM)
            assert "Traceback" not in said, said


@by_name
@pytest.mark.no_cover
def test_workers_of_one_command(valkey: ValkeyServer, namespace: str, tmp_path: Path) -> None:
    """Each of them has a cache of its own in front; the edit of one holds for both."""
    http = ("--http", "asgi_multitier.uvicorn:HttpToolsProtocol", "--workers", "2")
    worker = Worker(tmp_path, valkey.url, namespace, "served:app", *http)
    clients = [httpx.Client(base_url=worker.client.base_url, timeout=120) for _ in range(8)]
    try:
        worker.wait()
        for client in clients:  # a connection each, so that both workers are asked
            wait_for(lambda: client.get("/stats").json()["trusted"])  # noqa: B023
        for number in range(1, 11):
            clients[number % 8].put(f"/value/{number}")
            for client in clients:
                wait_for(lambda: client.get("/value").text == str(number))  # noqa: B023
                assert client.get("/value").text == str(number)
    finally:
        for client in clients:
            client.close()
        worker.stop(signal.SIGTERM)


def test_another_version_of_uvicorn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """When uvicorn imports the protocol, which it does at start."""
    monkeypatch.setattr(uvicorn, "__version__", "99.0.0")
    with pytest.raises(ConfigError, match="write --http httptools or --http h11"):
        importlib.reload(ours)


def test_a_parser_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names both ways out."""
    for used in (f"{ours.__name__}.httptools_protocol", "uvicorn.protocols.http.httptools_impl"):
        monkeypatch.delitem(sys.modules, used, raising=False)
    monkeypatch.setitem(sys.modules, "httptools", None)
    with pytest.raises(ConfigError, match=r"needs httptools, .*\[uvicorn\], .*:H11Protocol"):
        ours.HttpToolsProtocol  # noqa: B018
