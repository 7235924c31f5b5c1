"""500 concurrent requests for an uncached 500 ms route: number of runs and waiting times.

The same load on the same route without a cache, where 500 runs sleep concurrently, shows what 500
connections alone cost on this machine.
"""

import asyncio
import contextlib
import time

from demo_app.valkey import Valkey

from .options import Options
from .servers import get, serving

CALLERS = 500
ORIGIN = 0.5


async def _call(port: int, path: str) -> float:
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    if b" 200 " not in answer[:16]:
        raise RuntimeError(answer[:200])
    return time.perf_counter() - begun


async def _storm(ports: list[int], path: str) -> list[float]:
    calls = [_call(ports[number % len(ports)], path) for number in range(CALLERS)]
    return sorted(await asyncio.gather(*calls))


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    lines = []
    with serving("benchmarks.apps:uncached", core=None) as port:
        get(port, "/calls")
        took = asyncio.run(_storm([port], "/slow/1"))
        p99 = took[int(len(took) * 0.99)]
        lines.append(
            f"stampede, {CALLERS} callers, no cache: origin ran {get(port, '/calls')[1]['calls']} "
            f"times, p99 {p99 * 1000:.0f} ms"
        )
    for workers in (1, 2):
        with contextlib.ExitStack() as stack:
            redis = stack.enter_context(Valkey())
            env = {"BENCH_REDIS_URL": redis.url}
            ports = [
                stack.enter_context(serving("benchmarks.apps:both", env=env, core=None))
                for _ in range(workers)
            ]
            for port in ports:
                get(port, "/calls")
            took = asyncio.run(_storm(ports, "/slow/1"))
            calls = [get(port, "/calls")[1]["calls"] for port in ports]
        p99 = took[int(len(took) * 0.99)]
        lines.append(
            f"stampede, {CALLERS} callers, {workers} worker(s): origin ran {calls} times, "
            f"p99 {p99 * 1000:.0f} ms = origin + {(p99 - ORIGIN) * 1000:.0f} ms"
        )
    return lines
