"""Time until an edit on one process is visible on another: 1,000 edits with a real server.

The time is measured from the arrival of the edit's response until the other process, which is
requested without pause, returns the new version. Every response is checked: a version never
decreases.
"""

import contextlib
import http.client
import json
import tempfile
import time

from demo_app.valkey import Valkey

from .options import Options
from .servers import serving

EDITS = 1_000


class _Talk:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, method: str) -> int:
        self._connection.request(method, "/versions/1")
        version: int = json.loads(self._connection.getresponse().read())["version"]
        return version


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    edits = options.rounds or EDITS
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Valkey())
        file = stack.enter_context(tempfile.NamedTemporaryFile("w+", suffix=".version"))
        env = {"BENCH_REDIS_URL": redis.url, "BENCH_VERSION_FILE": file.name}
        first, second = (
            _Talk(stack.enter_context(serving("benchmarks.apps:both", env=env, core=None)).port)
            for _ in range(2)
        )
        lags: list[float] = []
        backwards = own = asked_at_once = seen = 0
        for _ in range(edits):
            second.ask("GET")
            version = first.ask("PUT")
            begun = time.perf_counter()
            own += first.ask("GET") != version
            answer = second.ask("GET")
            asked_at_once += answer == version
            while answer != version:
                backwards += answer < seen
                seen = answer
                answer = second.ask("GET")
            seen = answer
            lags.append(time.perf_counter() - begun)
    lags.sort()
    figures = (
        f"edit seen by the other process, {edits} edits: p50 {lags[edits // 2] * 1000:.2f} ms, "
        f"p99 {lags[int(edits * 0.99)] * 1000:.2f} ms, max {lags[-1] * 1000:.2f} ms "
        f"(at the first question: {asked_at_once}); stale on the own process: {own}; "
        f"backwards: {backwards}"
    )
    return [figures]
