"""The detector of undeclared inputs: what it finds, what it leaves alone, and how it is put on."""

import pytest

import pytest_asgi_multitier as plugin
from tests.testing.support import run

pytest_plugins = ["pytester"]

APP = """
import time
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from asgi_multitier import CacheMiddleware, cached

app = FastAPI(title="Shop of the detector")
app.add_middleware(CacheMiddleware)

@app.get("/prices/{id}")
@cached(60)
async def price(id: int, request: Request):
    return {"in": request.headers.get("accept-currency", "USD")}

@app.get("/home")
@cached(60, ignore_cookies=True)
async def home(request: Request):
    return request.cookies.get("theme")

@app.get("/list")
@cached(60, query=["page"])
async def listing(request: Request, page: int = 1):
    return [page, request.query_params.get("lang")]

@app.get("/public")
@cached(60, public=True)
async def public(request: Request):
    owner = request.headers.get("authorization")
    return JSONResponse({"of": owner}, headers={"cache-control": "public"})

@app.get("/agent")
@cached(60)
async def agent(request: Request):
    return {"mobile": "Mobile" in request.headers["user-agent"]}

@app.get("/stream")
@cached(60)
async def stream(request: Request):
    async def parts():
        yield b"one"
        yield request.headers.get("accept-currency", "").encode()
    return StreamingResponse(parts())

@app.get("/both")
@cached(60)
async def both(request: Request):
    return "a" if request.headers.get("x-one") or request.headers.get("x-two") else "b"

@app.get("/declared")
@cached(60, vary=["accept-language"], query=["page"], cookies=["theme"])
async def declared(request: Request, page: int = 1):
    return [page, request.headers.get("accept-language"), request.cookies.get("theme")]

@app.get("/says")
@cached(60)
async def says(request: Request):
    return JSONResponse(request.headers.get("accept-currency"), headers={"vary": "accept-currency"})

@app.get("/mine")
@cached(60, vary_by=lambda request: request.headers.get("authorization"))
async def mine(request: Request):
    return request.headers["authorization"]

@app.get("/time")
@cached(60)
async def clock():
    return time.perf_counter_ns()

@app.post("/search")
@cached(60, methods=["POST"], body="json", vary_by=lambda request: request.body[:1])
async def search(request: Request):
    return [request.headers.get("accept-currency"), await request.json()]

@app.post("/kinds")
@cached(60, methods=["POST"], body=True)
async def kinds(request: Request):
    kind = request.headers.get("content-type"), request.headers.get("content-length")
    return [*kind, len(await request.body())]

@app.post("/change")
async def change(request: Request):
    return dict(request.headers)

@app.get("/open")
async def open_(request: Request):
    return dict(request.headers)
"""


def test_it_names_what_made_the_difference(pytester: pytest.Pytester) -> None:
    """Fields, cookies, parameters; also where the copy was a hit, and for several at once."""
    result = run(
        pytester,
        """
from shop import app

@pytest.mark.parametrize("url, headers, named, cure", [
    ("/prices/1", {"accept-currency": "EUR"}, "field accept-currency", "vary="),
    ("/home", {"cookie": "theme=dark; other=1"}, "cookie theme", "cookies="),
    ("/list?page=2&lang=de&x=1", {}, "query parameter lang", "query="),
    ("/public", {"authorization": "me"}, "field authorization", "vary_by="),
    ("/agent", {}, "field user-agent", "vary="),
    ("/stream", {"accept-currency": "EUR"}, "field accept-currency", "vary="),
    ("/both", {"x-one": "1", "x-two": "2"}, "field x-one", "vary="),
])
@pytest.mark.parametrize("second", [False, True])
def test_found(cache_detector, url, headers, named, cure, second):
    client = TestClient(app)
    if second:
        client.get(url.partition("?")[0] + "?page=2")
    client.get(url, headers=headers)
    (finding,) = cache_detector.findings
    cache_detector.findings.clear()
    assert named in finding.inputs
    assert "its response depends on " + " and ".join(finding.inputs) in finding.text
    assert "what to do: " in finding.text and cure in finding.text.splitlines()[-1]

@pytest.mark.parametrize("second", [False, True])
def test_found_in_a_question(cache_detector, second):
    client = TestClient(app)
    if second:
        client.post("/search", json={"text": "tea"})
    client.post("/search", json={"text": "tea"}, headers={"accept-currency": "EUR"})
    (finding,) = cache_detector.findings
    cache_detector.findings.clear()
    assert finding.inputs == ("field accept-currency",)
    assert finding.text.startswith("POST /search (route /search) is cached")

def test_nothing_to_find(cache_detector):
    client = TestClient(app)
    client.post("/kinds", content=b"tea", headers={"content-type": "text/x"})
    client.post("/change", content=b"tea")
    client.get("/declared?page=2&x=1", headers={"accept-language": "de", "cookie": "theme=dark"})
    client.get("/says", headers={"accept-currency": "EUR"})
    client.get("/mine", headers={"authorization": "me"})
    client.get("/time")
    client.get("/open", headers={"x-any": "1"})
    client.get("/prices/1")
    assert cache_detector.compared == {
        "/declared", "/says", "/mine", "/time", "/prices/{id}", "/kinds"
    }

async def test_awaited(cache_detector):
    async with asking(app) as client:
        await client.get("/prices/1", headers={"accept-currency": "EUR"})
    assert len(cache_detector.findings) == 1
    cache_detector.findings.clear()
""",
        app=APP,
    )

    result.assert_outcomes(passed=18)


def test_it_fails_the_test(pytester: pytest.Pytester) -> None:
    """By the option for all tests but those marked, by a marker, or by its fixture."""
    test = """
from shop import app

def ask():
    TestClient(app).get("/prices/1", headers={"accept-currency": "EUR"})

def test_plain():
    ask()

@pytest.mark.cache_detect
def test_marked():
    ask()

def test_fixture(cache_detector):
    ask()

@pytest.mark.no_cache_detect
def test_left_out():
    ask()
"""
    result = run(pytester, test, app=APP)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        ["*GET /prices/1 (route /prices/{id}) is cached, and its response depends on field *"]
    )

    result = run(pytester, test, "--cache-detect", app=APP)
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(["cache detector: routes asked twice: /prices/{id}"])


def test_a_run_says_nothing_of_the_one_before(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs in one process, as `pytest.main` makes them, share the plugin."""
    monkeypatch.setattr(plugin.run, "compared", {"/of/another/run"})
    result = run(pytester, "def test_nothing(): ...", "--cache-detect", app=APP)

    result.stdout.fnmatch_lines(["cache detector: routes asked twice: none; *"])
