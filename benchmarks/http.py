"""Requests per second over HTTP: one uvicorn worker on one core, 64 connections, interleaved."""

import contextlib
import statistics

from demo_app.valkey import Valkey

from .options import Options
from .servers import get, load, serving

APPS = ("bare", "uncached", "l1", "added", "l2")
PATH = "/items/7"


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    rounds, seconds = options.rounds or 9, options.seconds or 2.0
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Valkey())
        env = {"BENCH_REDIS_URL": redis.url}
        ports = {
            app: stack.enter_context(serving(f"benchmarks.apps:{app}", env=env)) for app in APPS
        }
        for app, port in ports.items():
            get(port, PATH)
            status = get(port, PATH)[0].get("cache-status", "")
            tier = {"l1": "l1", "added": "l1", "l2": "l2"}.get(app, "")
            if tier and f"detail={tier}" not in status:
                raise RuntimeError(f"{app} was not answered from {app}: {status}")
        figures: dict[str, list[tuple[float, float]]] = {app: [] for app in APPS}
        for _ in range(rounds):
            for app, port in ports.items():
                figures[app].append(load(port, PATH, seconds))
    lines = []
    for app in APPS:
        rates, costs = zip(*figures[app], strict=True)
        bare_rates, bare_costs = zip(*figures["bare"], strict=True)
        lines.append(
            f"HTTP, {app:<9} {statistics.median(rates):>9,.0f} requests/s, ratio to bare "
            f"{_ratio(rates, bare_rates)}; per CPU second {_ratio(costs, bare_costs)}"
        )
    return lines


def _ratio(own: tuple[float, ...], bare: tuple[float, ...]) -> str:
    ratios = sorted(one / other for one, other in zip(own, bare, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
