"""Requests per second over HTTP: one uvicorn worker on one core, 64 connections, interleaved."""

import contextlib
import statistics

from demo_app.valkey import Valkey

from .servers import get, load, serving

APPS = ("bare", "uncached", "l1", "l2")
PATH = "/items/7"


def main(rounds: int = 5, seconds: float = 3.0) -> list[str]:
    """Measure and say it in lines."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Valkey())
        env = {"BENCH_REDIS_URL": redis.url}
        ports = {
            app: stack.enter_context(serving(f"benchmarks.apps:{app}", env=env)) for app in APPS
        }
        for app, port in ports.items():
            get(port, PATH)
            status = get(port, PATH)[0].get("cache-status", "")
            if app in ("l1", "l2") and f"detail={app}" not in status:
                raise RuntimeError(f"{app} was not answered from {app}: {status}")
        figures: dict[str, list[float]] = {app: [] for app in APPS}
        for _ in range(rounds):
            for app, port in ports.items():
                figures[app].append(load(port, PATH, seconds))
    lines = []
    for app in APPS:
        ratios = [own / bare for own, bare in zip(figures[app], figures["bare"], strict=True)]
        lines.append(
            f"HTTP, {app:<9} {statistics.median(figures[app]):>9,.0f} requests/s, "
            f"ratio to bare {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
