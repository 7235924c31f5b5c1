"""What the pages on deployment start does what they say."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.patience import wait_for
from tests.tutorial.deployed import COMPOSE, DEPLOYMENT, Deployed, command_of, deployed, nginx

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The application under gunicorn, with two workers that were forked from one."""
    with deployed(tmp_path_factory.mktemp("shop")) as made:
        yield made


def test_workers_that_were_forked_have_one_namespace_and_two_identities(shop: Deployed) -> None:
    """The commands of the page say that nothing is wrong, and that both see what is dropped."""
    checks = [line for line in shop.command("doctor").splitlines() if not line.startswith("ok")]
    instances = json.loads(shop.command("instances", "--json"))["instances"]
    seen = shop.command("invalidate", "--tag", "product:1", "--wait", "10")

    assert checks == []
    assert len({one["node"] for one in instances}) == 2
    assert "seen by 2/2 instances" in seen


def test_health_check_of_the_container(shop: Deployed) -> None:
    """It succeeds while the application answers, and fails where nothing listens."""
    kind, _, *words = COMPOSE["services"]["shop"]["healthcheck"]["test"]

    def code(port: int) -> int:
        given = [word.replace(":8000/", f":{port}/") for word in words]
        return subprocess.run([sys.executable, *given], stderr=subprocess.DEVNULL).returncode

    assert kind == "CMD"
    assert code(shop.port) == 0
    assert code(1) != 0


def test_ready_without_redis(shop: Deployed) -> None:
    """It is ready, and says that it is degraded, until the server is back."""
    assert shop.get("/ready").json() == {"healthy": True, "degraded": False}
    shop.redis.stop()
    wait_for(lambda: shop.get("/ready").json() == {"healthy": True, "degraded": True})
    assert shop.get("/ready").status_code == 200
    assert shop.get("/alive").status_code == 200
    shop.redis.start()
    wait_for(lambda: shop.get("/ready").json()["degraded"] is False)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_in_front(shop: Deployed, tmp_path: Path) -> None:
    """Cookies of analytics and fields that clients make up are hits; other names get nothing."""
    assert NGINX is not None
    with nginx(NGINX, tmp_path, shop.port) as port:

        def get(path: str, **fields: str) -> httpx.Response:
            fields.setdefault("host", "localhost")
            return httpx.get(f"http://127.0.0.1:{port}{path}", headers=fields)

        def is_hit(**fields: str) -> bool:
            return "; hit;" in get("/products/1", **fields).headers["cache-status"]

        wait_for(is_hit)
        assert is_hit(cookie="_ga=GA1.1.1234; _fbp=fb.1.9")
        assert is_hit(**{"x-forwarded-host": "made-up.example", "forwarded": "host=made-up"})
        assert is_hit(**{"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1"})
        assert get("/_cache/api/entries").status_code == 404
        with pytest.raises(httpx.RemoteProtocolError):
            get("/alive", host="made-up.example")


def test_stop(shop: Deployed) -> None:
    """SIGTERM ends both workers in order, with the application's shutdown. It is the last test."""
    assert shop.stop() == 0
    assert shop.said.count("Application shutdown complete") == 2
    assert not re.search("Traceback|CRITICAL", shop.said)


def test_options_of_uvicorn() -> None:
    """uvicorn knows those that the page writes."""
    _, *words = command_of(DEPLOYMENT, "uvicorn")
    given = uvicorn.main.make_context("uvicorn", words).params

    assert (given["app"], given["workers"]) == ("shop:app", 2)
    assert given["timeout_graceful_shutdown"] == 20
