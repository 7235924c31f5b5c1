"""Load test of the demo: hot reads, a long tail and edits; the clients detect stale responses.

    locust -f locustfile.py --host http://127.0.0.1:8001
    locust -f locustfile.py --instances http://127.0.0.1:8001,http://127.0.0.1:8002

Each client uses one instance, as behind a load balancer with session affinity. There, its own edit
must be effective once it is answered, and no version may be followed by an older one. The run ends
with a table, and with exit code 1 after any failure, including stale responses.
"""

import itertools
import json
import random
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from locust import FastHttpUser, between, constant_throughput, events, task
from locust.env import Environment
from locust.stats import StatsEntry

Json: TypeAlias = dict[str, Any]
Products: TypeAlias = Callable[[Any], Iterable[Json]]
"""Takes a body and returns the products in it."""

HOT_PRODUCTS = range(1, 11)
ALL_PRODUCTS = range(1, 211)
WORDS = ("amber", "brass", "kite", "tent", "lamp", "ivory", "can", "pen", "bench", "o")
SORTS = ("name", "price", "stock")
TIERS = ("l1", "l2", "coalesced", "source", "other")

tiers: Counter[str] = Counter()
"""Number of reads by the source of the response."""

stale: list[str] = []
"""A description of each stale response."""

turn = itertools.count()
"""The index of the instance that the next client uses."""


def origin(cache_status: str) -> str:
    """Where a response came from, by its Cache-Status field (RFC 9211)."""
    parameters = {part.strip() for part in cache_status.split(";")[1:]}
    if "hit" in parameters:
        return "l2" if "detail=l2" in parameters else "l1"
    if "collapsed" in parameters:
        return "coalesced"
    return "source" if any(part.startswith("fwd=") for part in parameters) else "other"


class Versions:
    """The oldest version of each product that one client may still receive."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], int] = {}
        self._acknowledged: dict[int, int] = {}

    def acknowledge(self, product: Mapping[str, Any]) -> None:
        """Record the client's own edit: after its response no view may show an older version."""
        self._acknowledged[product["id"]] = product["version"]

    def complaint(self, view: str, product: Mapping[str, Any]) -> str | None:
        """Describe the error if a view shows an old version of a product; None if it does not."""
        number, version = product["id"], product["version"]
        seen = self._seen.get((view, number), 0)
        acknowledged = self._acknowledged.get(number, 0)
        self._seen[view, number] = max(seen, version)
        if version < acknowledged:
            return f"stale: {view} shows {number} v{version} after the edit to v{acknowledged}"
        if version < seen:
            return f"stale: {view} shows {number} v{version} after v{seen}"
        return None


class Shopper(FastHttpUser):
    """A client that mostly reads popular products."""

    wait_time = between(0.005, 0.025)

    def __init__(self, environment: Environment) -> None:
        options = environment.parsed_options
        if options is not None and options.instances:
            addresses = options.instances.split(",")
            self.host = addresses[next(turn) % len(addresses)]
        if options is not None and options.rate:
            self.wait_time = constant_throughput(options.rate).__get__(self)
        super().__init__(environment)
        self.versions = Versions()

    @task(200)
    def hot_product(self) -> None:
        """Read a popular product."""
        self.product(random.choice(HOT_PRODUCTS))

    @task(60)
    def hot_price(self) -> None:
        """Read the price of a popular product."""
        self.price(random.choice(HOT_PRODUCTS))

    @task(20)
    def front_page(self) -> None:
        """Read the data of a front page."""
        self.page("/products", "/products")
        self.read("/categories", "/categories")
        self.read("/trending", "/trending")

    @task(1)
    def report(self) -> None:
        """Read the slow report."""
        self.read("/reports/sales", "/reports/sales")

    @task(6)
    def long_tail(self) -> None:
        """Read products and searches that are rarely requested twice."""
        self.product(random.choice(ALL_PRODUCTS))
        word, sort, number = random.choice(WORDS), random.choice(SORTS), random.randint(1, 3)
        self.page(f"/search?q={word}&sort={sort}&page={number}", "/search")

    @task(2)
    def edit(self) -> None:
        """Change a product, and read it at once."""
        number = random.choice(HOT_PRODUCTS)
        product = self.product(number)
        if product is None:
            return
        draft = {name: product[name] for name in ("name", "category", "stock")}
        draft["price_cents"] = random.randrange(495, 24995, 5)
        edited = self.write("PUT", f"/products/{number}", draft)
        if edited is not None:
            self.versions.acknowledge(edited)
            self.product(number)
            self.price(number)

    @task(1)
    def come_and_go(self) -> None:
        """Add a product, read it, remove it, and verify that it is gone."""
        draft = {"name": "Short-lived", "category": "toys", "price_cents": 100, "stock": 1}
        created = self.write("POST", "/products", draft, expected=201)
        if created is None:
            return
        self.product(created["id"])
        self.write("DELETE", f"/products/{created['id']}")
        self.read(f"/products/{created['id']}", "/products/{id} (gone)", expected=404)

    def product(self, number: int) -> Json | None:
        """Read a product in full."""
        path = f"/products/{number}"
        body: Json | None = self.read(path, "/products/{id}", products=lambda body: [body])
        return body

    def price(self, number: int) -> None:
        """Read a product's price."""
        path = f"/products/{number}/price"
        self.read(path, "/products/{id}/price", products=lambda body: [body])

    def page(self, path: str, name: str) -> None:
        """Read a page of products."""
        self.read(path, name, products=lambda body: body["items"])

    def read(
        self,
        path: str,
        name: str,
        *,
        expected: int = 200,
        products: Products = lambda _: (),
    ) -> Any:
        """GET a path, count which tier answered, and check the versions in the body."""
        with self.client.get(path, name=name, catch_response=True) as response:
            if response.status_code != expected:
                response.failure(f"status {response.status_code}, expected {expected}")
                return None
            tiers[origin(response.headers.get("cache-status") or "")] += 1
            body = response.json()
            complaints = [self.versions.complaint(path, each) for each in products(body)]
            if wrong := [complaint for complaint in complaints if complaint]:
                stale.extend(wrong)
                response.failure(wrong[0])
            else:
                response.success()
            return body

    def write(
        self, method: str, path: str, body: Json | None = None, *, expected: int = 200
    ) -> Any:
        """Send a change; returns the product after the change, or None if it failed."""
        name = f"{method} /products"
        with self.client.request(
            method, path, name=name, json=body, catch_response=True
        ) as response:
            if response.status_code != expected:
                response.failure(f"status {response.status_code}, expected {expected}")
                return None
            response.success()
            return response.json()


# Locust's hooks are untyped; what they call is not.
@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    """Add an option for several instances instead of one host."""
    parser.add_argument(
        "--instances",
        metavar="URL,URL",
        env_var="LOCUST_INSTANCES",
        default="",
        help="addresses of the instances, instead of --host; clients take turns",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0,
        help="tasks a second of each client; by default it pauses 5 to 25 ms between two",
    )
    parser.add_argument("--result", metavar="FILE", help="where to write the results as JSON")


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Environment, **_: Any) -> None:
    """Set the exit code after failures or a run without requests, and print the results."""
    total = environment.stats.total
    exceptions = environment.runner.exceptions if environment.runner else {}
    if total.num_failures or exceptions or not total.num_requests:
        environment.process_exit_code = 1
    options = environment.parsed_options
    if options is not None and options.result:
        Path(options.result).write_text(json.dumps(result(total)))
    lines = table(total)
    # `quit` is fired after Locust's own tables, and knows no environment.
    events.quit.add_listener(  # type: ignore[no-untyped-call]
        lambda **_: print("", *lines, sep="\n", flush=True)
    )


def result(total: StatsEntry) -> Json:
    """The result, for programs."""
    return {
        "requests": total.num_requests,
        "mean": total.avg_response_time,
        "p50": total.get_response_time_percentile(0.5),
        "p99": total.get_response_time_percentile(0.99),
        "tiers": dict(tiers),
        "failures": total.num_failures,
        "stale": len(stale),
        "complaints": stale[:10],
    }


def table(total: StatsEntry) -> list[str]:
    """The result, line by line."""
    reads = max(1, tiers.total())
    rows = [
        ("requests", f"{total.num_requests}"),
        ("requests/s", f"{total.total_rps:.1f}"),
        ("p50", f"{total.get_response_time_percentile(0.5)} ms"),
        ("p99", f"{total.get_response_time_percentile(0.99)} ms"),
        ("hit ratio", f"{100 * (tiers['l1'] + tiers['l2']) / reads:.2f} %"),
        *((f"  from {tier}", f"{100 * tiers[tier] / reads:.2f} %") for tier in TIERS),
        ("failures", f"{total.num_failures}"),
        ("stale responses", f"{len(stale)}"),
    ]
    return [f"{name:<18}{value:>12}" for name, value in rows] + stale[:10]
