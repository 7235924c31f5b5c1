"""The demo: its catalogue, its slow source, both applications, and a fleet of real processes."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import redis
from starlette.applications import Starlette

from demo_app import valkey
from demo_app.__main__ import FRAMEWORKS, create_app
from demo_app.catalogue import Catalogue, Draft, UnknownProductError
from demo_app.fleet import ROOT, Fleet, load, running_fleet, until_one_dies
from demo_app.ports import address_of, listen
from demo_app.site import Settings
from demo_app.source import DELAYS, Question, SlowSource
from demo_app.valkey import Valkey, answers_ping
from tests.patience import wait_for

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

DRAFT = Draft(name="Plain Kite", category="toys", price_cents=1999, stock=3)
PEERS = ("http://127.0.0.1:8001", "http://127.0.0.1:8002")
TOKEN = "operator-of-the-demo-" + 32 * "o"
OPERATOR = {"authorization": f"Bearer {TOKEN}"}
READS = (
    "/products?category=toys&page=2",
    "/products/7",
    "/products/7/price",
    "/search?q=kite&sort=price",
    "/categories",
    "/reports/sales",
    "/trending",
)


async def at_once(_: float) -> None:
    """Return at once."""


@contextlib.asynccontextmanager
async def lifespan_of(app: Starlette) -> AsyncIterator[None]:
    """Run an application's lifespan around the block, as a server does."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "state": {}}, inbox.get, outbox.put))
    for event in ("startup", "shutdown"):
        await inbox.put({"type": f"lifespan.{event}"})
        assert {"type": f"lifespan.{event}.complete"} == await outbox.get()
        if event == "startup":
            yield
    await task


@contextlib.asynccontextmanager
async def client_of(framework: Any) -> AsyncIterator[tuple[httpx.AsyncClient, SlowSource]]:
    """A client of one application in memory, and its source without delays."""
    app = create_app(Settings(framework=framework, peers=PEERS, token=TOKEN))
    app.state.source.close()
    app.state.source = source = SlowSource(Catalogue(), sleep=at_once)
    transport = httpx.ASGITransport(app)
    async with (
        lifespan_of(app),
        httpx.AsyncClient(transport=transport, base_url=PEERS[0]) as client,
    ):
        yield client, source


@pytest.fixture(params=sorted(FRAMEWORKS))
async def site(request: Any) -> AsyncIterator[tuple[httpx.AsyncClient, SlowSource]]:
    """Each application in turn."""
    async with client_of(request.param) as both:
        yield both


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Two instances with a shared server, each in its own process."""
    with running_fleet((0, 0)) as started:
        yield started


def is_hit(response: httpx.Response) -> bool:
    """Whether the response came from a tier."""
    return "; hit;" in response.headers["cache-status"]


@contextlib.contextmanager
def shared(fleet: Fleet) -> Iterator[None]:
    """Leave the block when the second tier has one more entry (written after the response)."""
    with redis.Redis.from_url(fleet.redis_url) as server:
        before = server.dbsize()
        yield
        wait_for(lambda: server.dbsize() > before)


class TestCatalogue:
    """The data."""

    def test_two_catalogues_share_one_file(self, tmp_path: Path) -> None:
        """One instance reads what the other writes, and the file is filled once."""
        one, other = Catalogue(f"{tmp_path}/c.db"), Catalogue(f"{tmp_path}/c.db")
        total = one.search().total
        created = one.create(DRAFT)

        assert created == other.product(created.id)
        assert total + 1 == other.search().total
        one.close()
        other.close()

    def test_every_edit_raises_the_version(self) -> None:
        """The first version is 1, and each edit adds 1."""
        with contextlib.closing(Catalogue()) as catalogue:
            number = catalogue.create(DRAFT).id
            edited = [catalogue.update(number, DRAFT).version for _ in range(3)]

        assert edited == [2, 3, 4]

    def test_number_of_removed_product_is_never_used_again(self) -> None:
        """A number never belongs to another product later."""
        with contextlib.closing(Catalogue()) as catalogue:
            removed = catalogue.delete(catalogue.create(DRAFT).id)

            assert removed.id < catalogue.create(DRAFT).id

    @pytest.mark.parametrize("call", ["product", "delete", "update"])
    def test_unknown_product_is_named(self, call: str) -> None:
        """The error contains the number."""
        arguments = [9999, DRAFT] if call == "update" else [9999]
        unknown = pytest.raises(UnknownProductError, match="no product 9999")
        with contextlib.closing(Catalogue()) as catalogue, unknown:
            getattr(catalogue, call)(*arguments)

    def test_failed_write_leaves_the_catalogue_usable(self) -> None:
        """A query that fails inside a transaction ends it."""
        with contextlib.closing(Catalogue()) as catalogue:
            with pytest.raises(KeyError):
                catalogue.search(sort="colour")  # type: ignore[arg-type]

            assert catalogue.search().items

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            pytest.param(
                {"text": "AMBER k"}, ["Amber Kalimba", "Amber Kettle", "Amber Kite"], id="text"
            ),
            pytest.param({"text": "kite", "category": "music"}, [], id="category"),
            pytest.param({"text": "%"}, [], id="no-wildcards"),
            pytest.param({"text": "amber k", "page": 2}, [], id="page-past-the-end"),
        ],
    )
    def test_search_finds_by_text_and_category(
        self, query: dict[str, Any], names: list[str]
    ) -> None:
        """Text matches anywhere in the name, in any case; a category narrows it."""
        with contextlib.closing(Catalogue()) as catalogue:
            assert names == [item.name for item in catalogue.search(**query).items]

    def test_pages_hold_every_product_once(self) -> None:
        """The pages together contain each product once, in the requested order."""
        with contextlib.closing(Catalogue()) as catalogue:
            first = catalogue.search(sort="price")
            pages = [catalogue.search(sort="price", page=n + 1).items for n in range(first.pages)]
        items = [item for page in pages for item in page]

        assert first.total == len({item.id for item in items}) == len(items)
        assert sorted(items, key=lambda item: (item.price_cents, item.id)) == items


class TestSource:
    """The slow source."""

    @pytest.mark.parametrize("question", get_args(Question))
    async def test_question_is_counted_and_takes_its_time(self, question: Question) -> None:
        """Each query increments its own counter and waits for the time in the table."""
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        arguments: dict[str, tuple[Any, ...]] = {
            "products": (None, 1),
            "product": (7,),
            "price": (7,),
            "search": ("kite", "name", 1),
        }
        source = SlowSource(Catalogue(), sleep=sleep)
        await getattr(source, question)(*arguments.get(question, ()))
        source.close()

        assert [DELAYS[question]] == waits
        assert {question: 1} == dict(+source.calls)

    async def test_answer_is_read_before_the_wait(self) -> None:
        """An edit during the wait is not in the result, which a cache must not store."""

        async def edit_meanwhile(_: float) -> None:
            await source.update(7, DRAFT)

        source = SlowSource(Catalogue(), sleep=edit_meanwhile)
        answer = await source.product(7)
        price = await source.price(7)
        source.close()

        assert (answer.version, price.version) == (1, 2)


class TestApplications:
    """Both applications, in memory."""

    @pytest.mark.parametrize("path", [*READS, "/products/9999", "/source/calls"])
    async def test_frameworks_answer_alike(self, path: str) -> None:
        """Status, type and body are equal, so that both can share one cache."""
        answers = []
        for framework in FRAMEWORKS:
            async with client_of(framework) as (client, _):
                response = await client.get(path)
                answers.append(
                    (response.status_code, response.headers["content-type"], response.json())
                )

        assert answers[0] == answers[1]

    @pytest.mark.parametrize("path", READS)
    async def test_read_is_kept(
        self, site: tuple[httpx.AsyncClient, SlowSource], path: str
    ) -> None:
        """The second response equals the first, without a call of the source."""
        client, source = site
        first, second = await client.get(path), await client.get(path)

        assert first.content == second.content
        assert (is_hit(first), is_hit(second)) == (False, True)
        assert source.calls.total() == 1

    @pytest.mark.parametrize(
        ("method", "path", "kept"),
        [
            pytest.param("PUT", "/products/7", {"/trending"}, id="edit"),
            pytest.param(
                "PUT", "/products/8", {"/trending", "/products/7", "/products/7/price"}, id="other"
            ),
            pytest.param(
                "POST", "/products", {"/trending", "/products/7", "/products/7/price"}, id="create"
            ),
        ],
    )
    async def test_edit_drops_what_shows_it(
        self,
        site: tuple[httpx.AsyncClient, SlowSource],
        method: str,
        path: str,
        kept: set[str],
    ) -> None:
        """Responses with the product are invalidated; others, and the one that may lag, stay."""
        client, _ = site
        for read in READS:
            await client.get(read)
        (await client.request(method, path, json=DRAFT.model_dump())).raise_for_status()

        assert kept == {read for read in READS if is_hit(await client.get(read))}

    async def test_removed_product_is_gone(
        self, site: tuple[httpx.AsyncClient, SlowSource]
    ) -> None:
        """After the response to a removal, the product is 404, and the 404 is not cached."""
        client, _ = site
        await client.get("/products/7")
        removed = await client.delete("/products/7")
        gone = [await client.get("/products/7") for _ in range(2)]

        assert (removed.status_code, removed.json()["id"]) == (200, 7)
        assert [response.status_code for response in gone] == [404, 404]
        assert not any(map(is_hit, gone))

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"{", id="no-json"),
            pytest.param(b'{"name": "Kite"}', id="incomplete"),
            pytest.param(json.dumps({**DRAFT.model_dump(), "id": 3}).encode(), id="unknown-field"),
            pytest.param(
                json.dumps({**DRAFT.model_dump(), "price_cents": -1}).encode(), id="out-of-range"
            ),
        ],
    )
    async def test_unreadable_edit_changes_nothing(
        self, site: tuple[httpx.AsyncClient, SlowSource], body: bytes
    ) -> None:
        """It is refused with a reason, and invalidates nothing."""
        client, _ = site
        await client.get("/products/7")
        refused = await client.put(
            "/products/7", content=body, headers={"content-type": "application/json"}
        )

        assert refused.status_code == 422
        assert refused.json()["detail"]
        assert is_hit(await client.get("/products/7"))

    @pytest.mark.parametrize("query", ["page=0", "page=x", "sort=colour", f"q={'x' * 81}"])
    async def test_unreadable_query_is_refused(
        self, site: tuple[httpx.AsyncClient, SlowSource], query: str
    ) -> None:
        """A parameter outside its range is refused without a call of the source."""
        client, source = site

        assert (await client.get(f"/search?{query}")).status_code == 422
        assert source.calls.total() == 0

    async def test_instances_answer_for_one_site(
        self, site: tuple[httpx.AsyncClient, SlowSource]
    ) -> None:
        """An entry stored through one address is found through another, and from another's page."""
        client, _ = site
        await client.get(f"{PEERS[0]}/products/7")
        other = await client.get(f"{PEERS[1]}/products/7", headers={"origin": PEERS[0]})

        assert is_hit(other)

    async def test_cache_is_cleared_by_hand(
        self, site: tuple[httpx.AsyncClient, SlowSource]
    ) -> None:
        """Afterwards every response comes from the source."""
        client, _ = site
        for read in READS:
            await client.get(read)
        cleared = await client.post("/cache/clear")

        assert cleared.status_code == 204
        assert not any([is_hit(await client.get(read)) for read in READS])

    @pytest.mark.parametrize(
        ("origin", "allowed"),
        [
            pytest.param(PEERS[1], True, id="other-instance"),
            pytest.param("http://localhost:8002", True, id="other-instance-by-name"),
            pytest.param("http://elsewhere.example", False, id="stranger"),
        ],
    )
    async def test_other_instances_page_may_read(
        self, site: tuple[httpx.AsyncClient, SlowSource], origin: str, allowed: bool
    ) -> None:
        """Only pages of the fleet may read, on hits and misses, with the fields exposed."""
        client, _ = site
        for _ in range(2):
            response = await client.get("/products/7", headers={"origin": origin})
            permitted = response.headers.get("access-control-allow-origin")

            assert (origin if allowed else None) == permitted
            if allowed:
                exposed = response.headers["access-control-expose-headers"].lower()
                assert {"cache-status", "age", "etag"} == set(exposed.split(", "))

    async def test_other_instances_page_may_edit(
        self, site: tuple[httpx.AsyncClient, SlowSource]
    ) -> None:
        """The browser's preflight request before a PUT is allowed."""
        client, _ = site
        answer = await client.options(
            "/products/7",
            headers={
                "origin": PEERS[1],
                "access-control-request-method": "PUT",
                "access-control-request-headers": "content-type",
            },
        )

        assert answer.status_code == 200

    async def test_page_comes_with_its_files(
        self, site: tuple[httpx.AsyncClient, SlowSource]
    ) -> None:
        """The page refers only to its own files, and a rule caches them."""
        client, _ = site
        html = (await client.get("/")).text
        files = re.findall(r'(?:href|src)="(/static/[^"]*)"', html)

        assert files == ["/static/style.css", "/static/app.js"]
        assert "//" not in re.sub(r"<!doctype.*?>", "", html)
        for file in files:
            assert (await client.get(file)).status_code == 200
            assert is_hit(await client.get(file))

    async def test_page_leads_to_the_cache_and_its_figures(
        self, site: tuple[httpx.AsyncClient, SlowSource]
    ) -> None:
        """Both are there, and neither is cached."""
        client, _ = site
        html = (await client.get("/")).text
        for link in ("/_cache/", "/metrics/"):
            assert f'href="{link}"' in html
            for _ in range(2):
                there = (await client.get(link)).raise_for_status()
                assert not is_hit(there)
                assert there.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            pytest.param({}, 401, id="no token"),
            pytest.param({"authorization": "Bearer x"}, 401, id="another token"),
            pytest.param(
                {**OPERATOR, "origin": PEERS[0], "sec-fetch-site": "same-origin"}, 200, id="page"
            ),
            pytest.param(
                {**OPERATOR, "origin": PEERS[1], "sec-fetch-site": "cross-site"}, 403, id="other"
            ),
        ],
    )
    async def test_operators_drop_what_is_cached(
        self, site: tuple[httpx.AsyncClient, SlowSource], fields: dict[str, str], status: int
    ) -> None:
        """With the token, and from the page of the cache where a page sends it."""
        client, _ = site
        await client.get("/products/7")
        dropped = await client.post(
            "/_cache/api/invalidate", json={"tags": ["product:7"]}, headers=fields
        )

        assert status == dropped.status_code
        assert is_hit(await client.get("/products/7")) == (status != 200)

    async def test_instance_describes_itself(
        self, site: tuple[httpx.AsyncClient, SlowSource]
    ) -> None:
        """The page gets the name, the framework, the tiers and all addresses."""
        client, _ = site
        facts = (await client.get("/instance")).json()

        assert facts.pop("framework") in FRAMEWORKS
        assert {"name": "A", "tiers": ["l1"], "peers": list(PEERS)} == facts


class TestPorts:
    """Listening sockets."""

    def test_taken_port_is_refused(self) -> None:
        """A required port that is taken is an error."""
        with listen(0) as taken, pytest.raises(OSError):
            listen(taken.getsockname()[1])

    def test_taken_port_gives_way_to_a_free_one(self) -> None:
        """A preferred port that is taken is replaced by a free one."""
        with listen(0) as taken, listen(taken.getsockname()[1], or_any=True) as other:
            assert address_of(taken) != address_of(other)


class TestValkey:
    """The embedded server."""

    def test_server_answers_inside_the_block_only(self) -> None:
        """It runs from the beginning to the end of the block."""
        with Valkey() as server:
            assert answers_ping(server.port)

        assert not answers_ping(server.port)

    def test_server_that_does_not_start_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names the port, and no process remains."""
        monkeypatch.setattr(valkey, "_binary", lambda: "false")
        server = Valkey()

        with pytest.raises(RuntimeError, match=f"did not start on port {server.port}"), server:
            raise AssertionError("the block was entered")


class TestFleet:
    """Two instances with a shared server, each in its own process."""

    def test_answer_is_shared_and_edit_is_seen_by_the_other(self, fleet: Fleet) -> None:
        """B finds A's response in the second tier; after A's edit B serves the new version."""
        with httpx.Client() as client:
            urls = [f"{address}/products/7" for address in fleet.addresses]
            with shared(fleet):
                first = client.get(urls[0]).raise_for_status()
            second = client.get(urls[1]).raise_for_status()
            version = first.json()["version"]
            edited = client.put(urls[0], json=DRAFT.model_dump()).raise_for_status()
            own = client.get(urls[0])
            wait_for(lambda: client.get(urls[1]).json()["version"] != version)
            other = client.get(urls[1])

        assert "detail=l2" in second.headers["cache-status"]
        assert first.content == second.content
        assert version + 1 == edited.json()["version"]
        assert edited.json() == own.json() == other.json()

    def test_token_of_this_run_is_for_all_instances(self, fleet: Fleet) -> None:
        """It is in no command line, where other users could read it."""
        for address, process in zip(fleet.addresses, fleet.processes, strict=True):
            right = httpx.get(
                f"{address}/_cache/api", headers={"authorization": f"Bearer {fleet.token}"}
            )

            assert right.json()["rights"] == "operator"
            assert fleet.token not in str(process.args)

    async def test_burst_calls_the_source_once(self, fleet: Fleet) -> None:
        """Fifty concurrent identical requests cause one call and get equal responses."""
        async with httpx.AsyncClient(base_url=fleet.addresses[0], timeout=20) as client:
            before = (await client.get("/source/calls")).json()["total"]
            requests = [client.get("/search?q=nobody+asked+yet") for _ in range(50)]
            answers = await asyncio.gather(*requests)
            after = (await client.get("/source/calls")).json()["total"]

        assert after - before == 1
        assert len({answer.content for answer in answers}) == 1

    def test_load_passes_and_prints_its_table(
        self, fleet: Fleet, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Six seconds of reads and edits end with exit code 0, no failures, no stale responses."""
        code = load(fleet, 6)
        rows = re.findall(r"^ *([a-z0-9/ ]+?) {2,}([\d.]+)", capfd.readouterr().out, re.MULTILINE)
        table = {name: float(value) for name, value in rows}

        assert (code, table["failures"], table["stale responses"]) == (0, 0, 0)
        assert {"requests/s", "p50", "p99", "hit ratio", "from l1", "from l2"} <= table.keys()
        assert table["hit ratio"] > 0

    def test_load_fails_where_versions_go_backwards(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A server whose versions decrease is detected."""
        with backwards_server() as address:
            code = load(Fleet((address,), "", ()), 4)
        stale = re.search(r"stale responses +(\d+)", capfd.readouterr().out)

        assert code == 1
        assert stale is not None
        assert int(stale[1]) > 0

    @pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
    def test_fleet_stops_at_a_signal(self, name: str) -> None:
        """It ends with code 0, and neither an instance nor the server remains."""
        command = [sys.executable, "-m", "demo_app.fleet", "--ports", "0,0"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", "".join(lines))]
            process.send_signal(signal.Signals[name])
            said = process.stdout.read()
            code = process.wait(20)

        assert code == 0
        assert re.fullmatch(r"The token of /_cache/, for this run: [\w-]{43}\n", lines[3])
        assert "Stopped" in said
        assert len(ports) == 4
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()

    def test_fleet_ends_when_an_instance_dies(self) -> None:
        """The fleet ends with code 1 as soon as an instance ends."""
        with running_fleet((0, 0)) as fleet:
            fleet.processes[1].kill()

            assert until_one_dies(fleet) == 1

    @pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
    def test_single_instance_starts_and_answers(self, framework: str) -> None:
        """`python -m demo_app` prints its address, serves from memory, and logs no warning."""
        command = [sys.executable, "-m", "demo_app", "--port", "0", "--framework", framework]
        both: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=ROOT, text=True, **both) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            line, token = process.stdout.readline(), process.stdout.readline()
            address = re.findall(r"http://\S+", line)[0]
            answers = [httpx.get(f"{address}/products/7") for _ in range(2)]
            process.terminate()
            warnings = process.stderr.read()

        assert warnings == ""
        assert f"({framework}, memory only)" in line
        assert re.fullmatch(rf"The cache: {address}/_cache/ with the token [\w-]{{43}}\n", token)
        assert [is_hit(answer) for answer in answers] == [False, True]


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
