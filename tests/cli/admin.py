"""A server that answers as an admin application does: with what a test has set."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

TOKEN = "t" * 32


class Asked(NamedTuple):
    """One request."""

    method: str
    target: str
    token: str
    body: Any


class Answers:
    """What a server answers, by method and path, and what it was asked.

    Attributes:
        url: Where it is.
        asked: The requests.
    """

    def __init__(self, port: int, answers: Mapping[str, Any]) -> None:
        self.url = f"http://127.0.0.1:{port}/_cache"
        self.answers = dict(answers)
        self.asked: list[Asked] = []

    def of(self, method: str, path: str) -> tuple[int, Any]:
        """Status and content."""
        found = self.answers.get(f"{method} {path}", (404, {"detail": "there is nothing here"}))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return found if isinstance(found, tuple) else (200, found)


@contextmanager
def served(answers: Mapping[str, Any]) -> Iterator[Answers]:
    """A server with these answers: JSON, `(status, JSON)`, bytes, or a list of such, in turn."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length)
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            body = json.loads(content) if content else None
            target = self.path.removeprefix("/_cache/")
            known.asked.append(Asked(self.command, target, token, body))
            status, value = known.of(self.command, target.partition("?")[0])
            kind = "application/json"
            if isinstance(value, bytes):
                sent = value
                kind = kind if value[:1] in (b"{", b"[") else "text/event-stream"
            else:
                sent = json.dumps(value).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Answers(server.server_port, answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
