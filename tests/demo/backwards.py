"""A server that is wrong on purpose: what a load must find."""

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.demo.support import DRAFT


@contextlib.contextmanager
def backwards_server() -> Iterator[str]:
    """A server whose product versions decrease with every response."""
    versions = iter(range(1_000_000, 0, -1))
    lock = threading.Lock()

    class Backwards(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            with lock:
                version = next(versions)
            self.rfile.read(int(self.headers.get("content-length") or 0))
            number = int(re.sub(r"\D", "", self.path.partition("?")[0]) or 0)
            product = {**DRAFT.model_dump(), "id": number, "version": version}
            body = json.dumps({**product, "items": [product]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Backwards)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
