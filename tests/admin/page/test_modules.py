"""What the page works out by itself, in a real browser and without any server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route

from asgi_multitier.admin.files import FOLDER
from tests.browsers import needs_a_browser, running_browser

pytestmark = [needs_a_browser, pytest.mark.asyncio(loop_scope="module")]

SITE = "http://page.test/"
ACCEPT = ["accept", "*/*"]
SHOP = "https://shop.example/products/1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    """The page, from its files; nothing answers its requests."""

    async def serve(route: Route) -> None:
        name = route.request.url.removeprefix(SITE) or "index.html"
        await route.fulfill(path=FOLDER / name)

    async with running_browser() as browser:
        page = await browser.new_page()
        await page.route(SITE + "**", serve)
        await page.goto(SITE)
        yield page


async def call(page: Page, module: str, name: str, *arguments: Any) -> Any:
    """What a function of a module returns, or the message of what it throws."""
    return await page.evaluate(
        """async ([module, name, given]) => {
            const found = await import(new URL(module, document.baseURI));
            try { return found[name](...given); } catch (error) { return error.message; }
        }""",
        [f"{module}.js", name, list(arguments)],
    )


def request(
    url: str, *headers: list[str], method: str = "GET", body: bool = False, ignored: Any = ()
) -> dict[str, Any]:
    """A request as the parser gives it."""
    parts = {"method": method, "url": url, "headers": list(headers)}
    return {**parts, "body": body, "ignored": list(ignored)}


PASTED = [
    pytest.param(SHOP + "?x=1#part", request(SHOP + "?x=1"), id="URL"),
    pytest.param("/products/1", request("/products/1"), id="path"),
    pytest.param("shop.example/a", request("https://shop.example/a"), id="no scheme"),
    pytest.param("POST /products", request("/products", method="POST"), id="method and path"),
    pytest.param("curl shop.example", request("http://shop.example", ACCEPT), id="as curl does"),
    pytest.param(f"$ curl {SHOP}", request(SHOP, ACCEPT), id="prompt"),
    pytest.param(
        f"curl '{SHOP}' \\\n  -H 'Accept: text/html' \\\n  -H 'X: a'\\''b'",
        request(SHOP, ["accept", "text/html"], ["x", "a'b"]),
        id="lines, single quotes",
    ),
    pytest.param(
        f'curl "{SHOP}" -H "A: \\"q\\" $HOME"',
        request(SHOP, ["a", '"q" $HOME'], ACCEPT),
        id="double quotes",
    ),
    pytest.param(
        f"curl {SHOP} -H $'x: it\\'s \\u0041\\x42\\t!'",
        request(SHOP, ["x", "it's AB\t!"], ACCEPT),
        id="ANSI quotes",
    ),
    pytest.param(
        f"curl -sXPOST {SHOP} -d a=1",
        request(SHOP, ACCEPT, method="POST", body=True),
        id="letters together",
    ),
    pytest.param(
        f"curl {SHOP} --data-raw '{{}}'",
        request(SHOP, ACCEPT, method="POST", body=True),
        id="content makes a POST",
    ),
    pytest.param(
        f"curl -G {SHOP} -d a=1 -d b=2", request(f"{SHOP}?a=1&b=2", ACCEPT), id="content as query"
    ),
    pytest.param(f"curl -I {SHOP}", request(SHOP, ACCEPT, method="HEAD"), id="HEAD"),
    pytest.param(
        f"curl {SHOP} -T file", request(SHOP, ACCEPT, method="PUT", body=True), id="upload"
    ),
    pytest.param(f"curl -X delete {SHOP}", request(SHOP, ACCEPT, method="DELETE"), id="method"),
    pytest.param(
        f"curl {SHOP} -b 'c=1; d=2' -u me:pw -A ua -e ref -r 0-9 --compressed",
        request(
            SHOP,
            ["cookie", "c=1; d=2"],
            ["authorization", "Basic bWU6cHc="],
            ["user-agent", "ua"],
            ["referer", "ref"],
            ["range", "bytes=0-9"],
            ["accept-encoding", "deflate, gzip, br, zstd"],
            ACCEPT,
        ),
        id="options that are fields",
    ),
    pytest.param(
        f"curl --oauth2-bearer t --json '{{}}' {SHOP}",
        request(
            SHOP,
            ["authorization", "Bearer t"],
            ["content-type", "application/json"],
            ACCEPT,
            method="POST",
            body=True,
        ),
        id="long options that are fields",
    ),
    pytest.param(
        f"curl -o out --max-time 5 {SHOP} -b jar.txt -H bad http://other.example/",
        request(SHOP, ACCEPT, ignored=["-b jar.txt", "-H bad", "http://other.example/"]),
        id="what is left out is told",
    ),
    pytest.param(
        f"curl -H 'X-Old:' -H 'X-Empty;' -HX:1 {SHOP}",
        request(SHOP, ["x-empty", ""], ["x", "1"], ACCEPT),
        id="fields without a value",
    ),
    pytest.param("", "Paste a URL or a command of curl.", id="nothing"),
    pytest.param("ftp://x/y", "ftp://x/y is no URL of http or https.", id="another scheme"),
    pytest.param(
        "two words",
        "This is neither a URL nor a command of curl: a URL has no spaces.",
        id="neither",
    ),
    pytest.param(f"curl '{SHOP}", "A ' is not closed.", id="not closed"),
    pytest.param(
        f"curl {SHOP} | jq",
        "Paste one command, without | outside of quotation marks.",
        id="two commands",
    ),
    pytest.param("curl -H", "After -H there is no value.", id="no value"),
    pytest.param("curl -s", "This command of curl names no URL.", id="no URL"),
]


@pytest.mark.parametrize(("pasted", "expected"), PASTED)
async def test_what_is_pasted_is_read_as_bash_and_curl_do(
    page: Page, pasted: str, expected: Any
) -> None:
    """A request, with what was left out; or a sentence that says what to paste."""
    assert expected == await call(page, "curl", "parse", pasted)


@pytest.mark.parametrize(
    ("chosen", "body"),
    [
        ([["tags", "a"], ["tags", "b"], ["paths", "/p"]], {"tags": ["a", "b"], "paths": ["/p"]}),
        ([["routes", "product"]], {"routes": ["product"]}),
        (
            [["routes", "/p/{id} id=1 lang=de=at x"]],
            {"routes": [{"name": "/p/{id}", "params": {"id": "1", "lang": "de=at", "x": ""}}]},
        ),
        ([["keys", "two words"], ["all", ""]], {"keys": ["two words"], "all": True}),
    ],
)
async def test_what_is_chosen_becomes_the_body_of_a_request(
    page: Page, chosen: Any, body: Any
) -> None:
    """Texts as they are; a route with its parameters."""
    assert body == await call(page, "invalidate", "bodyOf", chosen)


@pytest.mark.parametrize(
    ("answer", "sentence", "tone"),
    [
        ({"position": {"seq": 54}, "seen": None}, "Dropped, as record 54 of the log.", "good"),
        (
            {"position": {"seq": 54}, "seen": {"by": 1, "of": 1}},
            "Dropped, and seen by 1 of 1 instance.",
            "good",
        ),
        (
            {"position": {"seq": 54}, "seen": {"by": 2, "of": 3}},
            "Dropped, and seen by 2 of 3 instances. The others drop it when they read the log.",
            "warn",
        ),
        (
            {"position": None, "queued": True},
            "It is dropped here. The log does not answer: others are told when it does.",
            "warn",
        ),
    ],
)
async def test_what_became_of_it_is_one_sentence(
    page: Page, answer: Any, sentence: str, tone: str
) -> None:
    """Whether the others know of it, too."""
    assert [sentence, tone] == await call(page, "invalidate", "outcome", answer)


ENDING = 'id: 7\nevent: bye\ndata: {"reason":"hour"}\n\n'


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_a_stream_gives_the_same_events_however_it_arrives(page: Page, size: int) -> None:
    """Comments are none, and what is not complete waits."""
    stream = f'event: hello\ndata: {{"id":6}}\n\n: heartbeat\n\n{ENDING}data: cut'
    events = await page.evaluate(
        """async ([stream, size]) => {
            const { Parser } = await import(new URL("events.js", document.baseURI));
            const parser = new Parser();
            const found = [];
            for (let at = 0; at < stream.length; at += size) {
                found.push(...parser.feed(stream.slice(at, at + size)));
            }
            return found;
        }""",
        [stream, size],
    )

    assert events == [
        {"event": "hello", "data": '{"id":6}'},
        {"id": "7", "event": "bye", "data": '{"reason":"hour"}'},
    ]


def stats(requests: int, hits: int, *, pid: int = 1, runs: int = 0, **more: Any) -> dict[str, Any]:
    """What `api/stats` says of one route; its runs take two seconds."""
    row = {"requests": requests, "hits": {"1": hits}, "stale": 0, "coalesced": 0, "passes": {}}
    row = {**row, "runs": {"count": runs, "mean": 2.0 if runs else None}, **more}
    workers = [{"worker": 0, "pid": pid, "missing": ""}]
    return {
        "scope": "process",
        "workers": workers,
        "total": row,
        "routes": [{"route": "/", **row}] if requests else [],
    }


def rates(requests: float, runs: float, saved: float, ratio: float | None) -> dict[str, Any]:
    """Rates as the page has them."""
    return {"requests": requests, "runs": runs, "saved": saved, "ratio": ratio}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(
            stats(100, 80, runs=20), stats(140, 110, runs=30), rates(20, 5, 30, 0.75), id="grown"
        ),
        pytest.param(stats(0, 0), stats(8, 6, runs=2), rates(4, 1, 6, 0.75), id="a new route"),
        pytest.param(stats(100, 80), stats(100, 80), rates(0, 0, 0, None), id="nothing happened"),
        pytest.param(
            stats(0, 0), stats(4, 0, passes={"cookie": 4}), rates(2, 0, 0, None), id="all passed by"
        ),
        pytest.param(stats(100, 80), stats(5, 1), None, id="counters began again"),
        pytest.param(stats(100, 80), stats(100, 70), None, id="one counter fell"),
        pytest.param(stats(100, 80), stats(900, 800, pid=2), None, id="another process"),
    ],
)
async def test_rates_are_differences_of_two_readings(
    page: Page, before: Any, after: Any, expected: Any
) -> None:
    """A restart gives none instead of a negative one."""
    found = await page.evaluate(
        """async ([before, after]) => {
            const { History, reading } = await import(new URL("readings.js", document.baseURI));
            const history = new History();
            history.add(reading(before, 100));
            const first = history.now;
            history.add(reading(after, 102));
            const { routes, ...now } = history.now ?? {};
            return [first, history.now && now, history.points.length];
        }""",
        [before, after],
    )

    assert found == [None, expected, 2]


async def test_a_history_is_of_five_minutes(page: Page) -> None:
    """Older points leave."""
    kept = await page.evaluate(
        """async (stats) => {
            const { History, reading } = await import(new URL("readings.js", document.baseURI));
            const history = new History();
            for (let at = 0; at <= 1000; at += 10) history.add(reading(stats, at));
            return history.points.map(({ at }) => at);
        }""",
        stats(1, 1),
    )

    assert (len(kept), kept[0], kept[-1]) == (31, 700, 1000)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("count", 12031, "12,031"),
        ("count", None, "\N{EN DASH}"),
        ("rate", 3.14159, "3.1"),
        ("rate", 1234.5, "1,235"),
        ("percent", 0.99999, "99.9 %"),
        ("percent", 1, "100.0 %"),
        ("percent", 0.29, "29.0 %"),
        ("percent", None, "\N{EN DASH}"),
        ("bytes", 0, "0 B"),
        ("bytes", 812, "812 B"),
        ("bytes", 2094, "2 KiB"),
        ("bytes", 3174, "3.1 KiB"),
        ("bytes", 64 * 2**20, "64 MiB"),
        ("bytes", 2**60, "1048576 TiB"),
        ("duration", 0, "0 s"),
        ("duration", 0.0004, "0.4 ms"),
        ("duration", 0.2031, "203 ms"),
        ("duration", 12.1, "12 s"),
        ("duration", 90, "1.5 min"),
        ("duration", 299, "5 min"),
        ("brief", "route PUT /products/{id} (edit)", "PUT /products/{id}"),
        ("duration", 7200, "2 h"),
        ("duration", -30, "\N{MINUS SIGN}30 s"),
        ("duration", 864000, "10 d"),
        ("tally", {"a": 1, "b": 20, "c": 0}, "b 20, a 1"),
        ("selector", {"kind": "tag", "text": "product:1"}, "tag product:1"),
        ("selector", {"kind": "all", "text": ""}, "all"),
    ],
)
async def test_figures_are_written_for_people(
    page: Page, name: str, value: Any, words: str
) -> None:
    """With units; a share is never rounded up to all."""
    assert words == await call(page, "format", name, value)


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({}, ""),
        ({"rights": "viewer"}, "This needs the operator's token"),
        ({"read_only": True}, "This admin application only reads"),
        ({"routes": []}, "This application does not offer it"),
    ],
)
async def test_what_cannot_be_done_is_told_with_the_reason(
    page: Page, changes: Any, begins: str
) -> None:
    """Rights first."""
    index = {"rights": "operator", "read_only": False, "routes": ["api/invalidate"], **changes}
    reason = await call(page, "api", "reasonAgainst", index, "api/invalidate")

    assert reason.startswith(begins)
    assert bool(reason) == bool(changes)
