"""The servers that serve a shop, as processes of their own on a port of their own."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import trustme

from tests.compat import shop
from tests.patience import wait_for
from tests.servers import free_port

APP = "tests.compat.served:app"


@dataclass(frozen=True)
class Server:
    """One way of serving.

    Attributes:
        words: Its command line after `python -m`; `{fd}` is the listening socket's descriptor,
            `{port}` its port, `{folder}` where its certificate is.
        packages: Whose versions are told; all must be installed.
        workers: How many processes answer.
        http: The version of HTTP that clients speak.
        lacks: Expectations that do not apply to it, and why.
    """

    words: str
    packages: tuple[str, ...]
    workers: int = 1
    http: str = "1.1"
    lacks: dict[str, str] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
        """Whether it can be started here."""
        return all(find_spec(name.replace("-", "_")) is not None for name in self.packages)

    @property
    def versions(self) -> str:
        """What is installed, for the matrix."""
        return ", ".join(f"{package} {version(package)}" for package in self.packages)


_UVICORN = f"uvicorn {APP} --fd {{fd}} --log-level warning"
_NO_SOCKET = {"websocket": "its client speaks HTTP/1.1"}

SERVERS = {
    "uvicorn-httptools": Server(f"{_UVICORN} --http httptools", ("uvicorn", "httptools")),
    "uvicorn-h11": Server(f"{_UVICORN} --http h11", ("uvicorn", "h11")),
    "uvicorn-workers": Server(f"{_UVICORN} --workers 2", ("uvicorn",), workers=2),
    "uvicorn-in-front": Server(
        f"{_UVICORN} --http asgi_multitier.uvicorn:HttpToolsProtocol", ("uvicorn", "httptools")
    ),
    "gunicorn": Server(
        f"gunicorn {APP} -k uvicorn_worker.UvicornWorker --preload -w 2 --bind fd://{{fd}}"
        " --log-level warning --graceful-timeout 30",
        ("gunicorn", "uvicorn-worker"),
        workers=2,
    ),
    "hypercorn": Server(f"hypercorn {APP} --bind fd://{{fd}} --log-level warning", ("hypercorn",)),
    "hypercorn-h2": Server(
        f"hypercorn {APP} --bind fd://{{fd}} --log-level warning",
        ("hypercorn", "h2"),
        http="2",
        lacks=_NO_SOCKET,
    ),
    "hypercorn-tls": Server(
        f"hypercorn {APP} --bind fd://{{fd}} --log-level warning"
        " --certfile {folder}/server.pem --keyfile {folder}/server.key",
        ("hypercorn", "h2"),
        http="2 over TLS",
        lacks=_NO_SOCKET,
    ),
    "granian": Server(
        f"granian {APP} --interface asgi --host 127.0.0.1 --port {{port}} --log-level warning",
        ("granian",),
    ),
}
"""The servers by name."""


class Site:
    """A served shop, and what it leaves behind.

    Attributes:
        client: A client with a connection of its own.
        server: What serves it.
    """

    def __init__(self, server: Server, port: int, process: Any, place: Path) -> None:
        self.server = server
        self.port = port
        self.process = process
        self._place = place
        self.client = self.connect()

    def connect(self) -> httpx.Client:
        """Another client, whose requests one worker answers."""
        tls = self.server.http.endswith("TLS")
        # Without TLS none is needed, and to read a system's authorities takes long.
        context = ssl.create_default_context(cafile=self._place / "ca.pem") if tls else False
        forgetful = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        return httpx.Client(
            cookies=forgetful,
            base_url=f"http{'s' * tls}://localhost:{self.port}",
            verify=context,
            http1=self.server.http == "1.1",
            http2=self.server.http != "1.1",
            timeout=120,
            trust_env=False,
        )

    def get(self, target: str, **fields: str) -> httpx.Response:
        """A GET with these field lines; `_` in their names is `-`."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        return self.client.get(target, headers=headers)

    def noted(self, what: str) -> int:
        """How often the shop has left this note."""
        return shop.noted(what)

    def ready(self) -> None:
        """Wait until every worker keeps what it answers, also for others."""
        for number in range(self.server.workers * 4):
            with self.connect() as client:
                target = f"/items/{9000 + number}"
                wait_for(lambda: is_hit(client.get(target)), 10.0)  # noqa: B023

    def stop(self) -> str:
        """End it as a service manager does; what it said."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=120)
        return str(said)


def status(reply: httpx.Response) -> str:
    """What the cache says of a response."""
    return reply.headers.get("cache-status", "")


def is_hit(reply: httpx.Response) -> bool:
    """Whether the cache answered without the application."""
    return status(reply).startswith("asgi-multitier; hit")


@contextmanager
def serving(
    server: Server, framework: str, place: Path, redis_url: str, namespace: str
) -> Iterator[Site]:
    """A shop on a server, until the end.

    Args:
        server: What serves it.
        framework: What it is written in.
        place: A folder for notes and certificates.
        redis_url: Where Redis is, as `REDIS_URL` says it.
        namespace: The cache's namespace.
    """
    if "server.key" in server.words:
        _certify(place)
    environment = {
        **os.environ,
        "COMPAT_APP": framework,
        shop.NOTES: str(place),
        "REDIS_URL": redis_url,
        "ASGI_MULTITIER_NAMESPACE": namespace,
        "ASGI_MULTITIER_REDIS_TIMEOUT": "30",
        "PYTHONWARNINGS": "error::RuntimeWarning",
    }
    own_port = "{port}" in server.words
    with socket.create_server(("127.0.0.1", 0 if not own_port else free_port())) as listening:
        port = listening.getsockname()[1]
        descriptor = listening.fileno()
        if own_port:
            listening.close()
        words = server.words.format(fd=descriptor, port=port, folder=place)
        process = subprocess.Popen(
            [sys.executable, "-m", *words.split()],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=() if own_port else [descriptor],
        )
    site = Site(server, port, process, place)
    try:
        if own_port:
            wait_for(lambda: _answers(site), 20.0)
        yield site
    finally:
        site.client.close()
        if process.poll() is None:
            process.kill()
        process.communicate()


def _certify(place: Path) -> None:
    """Write a certificate for `localhost`, and the authority that clients are to trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(place / "ca.pem")
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(place / "server.pem")
    issued.private_key_pem.write_to_path(place / "server.key")


def _answers(site: Site) -> bool:
    assert site.process.poll() is None, site.process.communicate()[0]
    with socket.create_connection(("127.0.0.1", site.port)):
        return True
