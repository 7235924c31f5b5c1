"""`asgi-multitier init`: what it proposes and leaves alone; pasting it is harmless."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from asgi_multitier.cli.exits import Exit
from asgi_multitier.cli.main import main

SHOP = """
from contextlib import suppress
from typing import Annotated, Optional
from random import random
from uuid import UUID, uuid4

from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import StreamingResponse
from fastapi.security import APIKeyCookie, HTTPBearer, OAuth2PasswordBearer
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from asgi_multitier import CacheManager, CacheMiddleware, CacheStrategy, cached, invalidates

app = FastAPI(title="Shop")
bearer, oauth = HTTPBearer(), OAuth2PasswordBearer("token")
stock, notes = {1: 5, 2: 6}, {"one": ["milk"], "two": ["bread"]}


class User(BaseModel):
    name: str
    id: str


class Bare:
    pass


def user(sent: Annotated[object, Depends(bearer)]) -> User:
    if sent.credentials not in notes:
        raise HTTPException(401)
    return User(name="x", id=sent.credentials)


def bare(sent: Annotated[object, Depends(bearer)]):
    return Bare()


@app.get("/products")
def products(least: int = 0):
    return [one for one, left in stock.items() if left >= least]


@app.get("/products/{id}")
def product(id: int):
    return {"left": stock.get(id)}


@app.get("/products/{id}/label")
def label(id: int, accept_language: Annotated[str, Header()] = "en"):
    return f"{id} {accept_language} {stock.get(id)}"


@app.put("/products/{number}")
def restock(number: int, left: int):
    stock[number] = left


@app.post("/products")
def create(left: int):
    stock[max(stock) + 1] = left


@app.post("/imports")
def load():
    return {}


@app.post("/search")
def search():
    return {}


@app.get("/skins")
def skins(skin: Annotated[str, Cookie()] = "plain"):
    return skin


@app.get("/notes")
def own_notes(user: Annotated[User, Depends(user)]):
    return notes[user.id]


@app.post("/notes")
def write(text: str, user: Annotated[User, Depends(user)]):
    notes[user.id].append(text)


@app.get("/tokens-own")
def token_of(token: Annotated[str, Depends(oauth)]):
    return token


@app.get("/weather", dependencies=[Depends(user)])
def weather():
    return "sunny"


@app.get("/bare")
def of_bare(who: Annotated[Bare, Depends(bare)]):
    return "x"


@app.get("/pages/{name}")
def page(request: Request, name: str):
    return str(request.url.path)


@app.get("/themes")
def theme(request: Request):
    return request.cookies.get("theme")


@app.get("/me")
def me():
    return {}


@app.get("/health")
def health():
    return {}


@app.get("/lucky")
def lucky():
    return [uuid4().hex for _ in range(2)]


@app.get("/visits")
def visits():
    with suppress(AttributeError):
        app.commit()


@app.get("/feed")
def feed() -> StreamingResponse:
    return StreamingResponse(iter([b"x"]))


@app.get("/first/{id}")
@app.get("/second")
def both(id: int = 1):
    return id


@app.get("/offers/{id}")
@cached(10, tags=["offer:{id}"])
def offer(id: int):
    return id


@app.put("/offers/{id}")
@invalidates(tags=["offer:{id}"])
def change_offer(id: int):
    return id


app.mount("/static", StaticFiles(directory="."))
"""

PROPOSED = {
    "GET /products": '@cached(CacheStrategy.REAL_TIME, tags=["products"], shadow=True)',
    "GET /products/{id}": '@cached(CacheStrategy.REAL_TIME, tags=["product:{id}"], shadow=True)',
    "GET /products/{id}/label": (
        '@cached(CacheStrategy.REAL_TIME, vary=["accept-language"], tags=["label:{id}"],'
        " shadow=True)"
    ),
    "PUT /products/{number}": (
        '@invalidates(tags=["products", "product:{number}", "label:{number}"])'
    ),
    "POST /products": '@invalidates(tags=["products"], patterns=["/products/*", '
    '"/products/*/label"])',
    "GET /skins": (
        '@cached(CacheStrategy.REAL_TIME, cookies=["skin"], tags=["skins"], shadow=True)'
    ),
    "GET /notes": (
        '@cached(CacheStrategy.REAL_TIME, vary_by="{user.id}", tags=["notes"], guarded=True,'
        " shadow=True)"
    ),
    "POST /notes": '@invalidates(tags=["notes"])',
    "GET /tokens-own": (
        '@cached(CacheStrategy.REAL_TIME, vary_by="{token}", tags=["tokens-own"], guarded=True,'
        " shadow=True)"
    ),
    "GET /weather": (
        '@cached(CacheStrategy.REAL_TIME, tags=["weather"], guarded=True, shadow=True)'
    ),
    "GET /pages/{name}": '@cached(CacheStrategy.REAL_TIME, tags=["page:{name}"], shadow=True)',
}
LEFT = {
    "GET /docs": "the framework's own",
    "POST /imports": "No route that is cached",
    "POST /search": "methods=['POST'], body=True",
    "GET /bare": "vary_by= that names what separates the users, such as '{who.id}'",
    "GET /themes": "its code reads cookies",
    "GET /me": "belong to one client",
    "GET /health": "of this moment",
    "GET /lucky": "uses uuid4",
    "GET /visits": "uses commit",
    "GET /feed": "StreamingResponse",
    "GET /first/{id}": "other routes too",
    "GET /second": "other routes too",
    "GET /offers/{id}": "cached already (annotation)",
    "PUT /offers/{id}": "named already",
    "GET /static/{path:path}": "static files",
}


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Writes a module of an application that can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def proposed(target: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What it writes for programs."""
    assert main(["init", target, "--json"]) == Exit.OK
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_each_route_is_told(
    write_module: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to write above it, or why nothing."""
    found = proposed(f"{write_module('init_table', SHOP)}:app", capsys)
    told = {one["route"]: one for one in found["routes"]}

    assert found["has_cache"] is False
    assert {name: one["annotation"] for name, one in told.items() if one["annotation"]} == PROPOSED
    assert {name: told[name]["annotation"] for name in LEFT} == dict.fromkeys(LEFT, "")
    assert [name for name, part in LEFT.items() if part not in told[name]["why"]] == []
    assert (
        "nothing changes its data but PUT /products/{number}, POST /products"
        in (told["GET /products/{id}"]["check"])
    )
    assert "an answer that is 10 s old is good enough" in " ".join(told["GET /skins"]["check"])


def pasted(module: str, capsys: pytest.CaptureFixture[str], *, active: bool) -> str:
    """The source with each proposal above the function that it names, and with a cache."""
    lines = Path(f"{module}.py").read_text().splitlines()
    places = [
        (int(one["place"].rpartition(":")[2]), one["annotation"])
        for one in proposed(f"{module}:app", capsys)["routes"]
        if one["annotation"]
    ]
    for number, text in sorted(places, reverse=True):
        assert lines[number - 1].startswith("@app.")
        lines.insert(number, text.replace(", shadow=True", "") if active else text)
    lines.append("app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None))")
    return "\n".join(lines)


REQUESTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("GET", "/products", {}),
    ("GET", "/products?least=6", {}),
    ("GET", "/products/1", {}),
    ("GET", "/products/1/label", {}),
    ("GET", "/products/1/label", {"accept-language": "de"}),
    ("PUT", "/products/1?left=9", {}),
    ("GET", "/products/1", {}),
    ("GET", "/products?least=6", {}),
    ("GET", "/products/1/label", {"accept-language": "de"}),
    ("GET", "/products/3", {}),
    ("POST", "/products?left=4", {}),
    ("GET", "/products", {}),
    ("GET", "/products/3", {}),
    ("GET", "/notes", {"authorization": "Bearer one"}),
    ("GET", "/notes", {"authorization": "Bearer two"}),
    ("GET", "/notes", {"authorization": "Bearer three"}),
    ("POST", "/notes?text=tea", {"authorization": "Bearer one"}),
    ("GET", "/notes", {"authorization": "Bearer one"}),
    ("GET", "/tokens-own", {"authorization": "Bearer one"}),
    ("GET", "/tokens-own", {"authorization": "Bearer two"}),
    ("GET", "/weather", {"authorization": "Bearer one"}),
    ("GET", "/weather", {"authorization": "Bearer three"}),
    ("GET", "/weather", {}),
    ("GET", "/skins", {}),
    ("GET", "/skins", {"cookie": "skin=dark"}),
    ("GET", "/pages/a", {}),
    ("GET", "/themes", {"cookie": "theme=dark"}),
    ("GET", "/themes", {}),
)


@pytest.mark.parametrize("active", [False, True])
def test_a_pasted_proposal_makes_no_answer_wrong(
    write_module: Callable[[str, str], str], capsys: pytest.CaptureFixture[str], *, active: bool
) -> None:
    """The application starts, and answers as before; of this one also without `shadow=True`."""
    name = f"init_pasted_{active}".lower()
    plain = write_module(name, SHOP)
    text = pasted(plain, capsys, active=active)
    with_cache = write_module(f"{name}_cached", text)
    apps: list[ModuleType] = [__import__(plain), __import__(with_cache)]
    answers, statuses = [], []
    for module in apps:
        with TestClient(module.app) as client:
            sent = [client.request(*one[:2], headers=one[2]) for one in REQUESTS for _ in "ab"]
            answers.append([(one.status_code, one.content) for one in sent])
            statuses.append([one.headers.get("cache-status", "") for one in sent])

    assert answers[0] == answers[1]
    assert any("; hit" in one for one in statuses[1]) is active
    assert main(["routes", f"{with_cache}:app", "--check"]) == Exit.OK


def test_what_is_written_for_people(
    write_module: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole of it is Python, and says where each line goes."""
    write_module("init_shown", SHOP + "\n\ndef create_app():\n    return app\n")
    assert main(["init", "init_shown:app"]) == Exit.OK
    out = capsys.readouterr().out
    lines = out.splitlines()
    at = lines.index(PROPOSED["GET /products/{id}"])

    made = 1 + SHOP.splitlines().index('app = FastAPI(title="Shop")')
    where = lines.index(f"# Below the line that makes app, which is init_shown.py:{made}:")
    assert lines[where + 1] == "app.add_middleware(CacheMiddleware)"
    assert any(one.startswith("# GET /products/{id}   init_shown.py:") for one in lines[:at])
    assert all(one.startswith(("#", "@", "app.", "from ")) for one in lines if one)
    assert main(["init", "init_shown:create_app", "--factory"]) == Exit.OK
    end = 3 + len(SHOP.splitlines()) + 1
    lines[where] = f"# In create_app(), init_shown.py:{end}, before the application is returned:"
    assert capsys.readouterr().out.splitlines() == lines


def test_proposals_are_for_what_is_left(
    write_module: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Once they are pasted there is nothing more to propose."""
    name = write_module("init_twice", SHOP)
    text = pasted(name, capsys, active=False)
    found = proposed(f"{write_module('init_twice_done', text)}:app", capsys)

    assert found["has_cache"] is True
    assert [one["route"] for one in found["routes"] if one["annotation"]] == []
    assert main(["init", "init_twice_done:app"]) == Exit.OK
    assert capsys.readouterr().out.startswith("# No route is proposed to be cached.")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("nowhere_at_all:app", "'module:attribute' of an application"),
        ("json:loads", "write rules by hand"),
    ],
)
def test_what_is_no_application(
    target: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is expected."""
    assert main(["init", target]) == Exit.USAGE
    assert expected in capsys.readouterr().err


LITESTAR = """
from litestar import Litestar, Request, get, put

@get("/products/{id:int}", sync_to_thread=False)
def product(request: Request) -> dict[str, int]:
    return {"id": request.path_params["id"]}

@put("/products/{id:int}", sync_to_thread=False)
def change() -> None: ...

app = Litestar([product, change], logging_config=None, openapi_config=None)
"""


def test_routes_of_another_framework_are_proposed_too(
    write_module: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where an application takes no middleware, the cache is put around it."""
    pytest.importorskip("litestar")
    write_module("init_litestar", LITESTAR)
    assert main(["init", "init_litestar:app"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()

    where = lines.index("# At the end of init_litestar.py, after all other lines that use app:")
    assert lines[where + 1] == "app = CacheMiddleware(app)"
    assert '@invalidates(tags=["product:{id}"])' in lines
    assert '@cached(CacheStrategy.REAL_TIME, tags=["product:{id}"], shadow=True)' in lines


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        (
            "import fastapi\nglobals()['app'] = fastapi.FastAPI()\n@app.get('/a')\ndef a(): ...",
            "app",
        ),
        (
            (
                "import fastapi\nclass App:\n    app = fastapi.FastAPI()\n"
                "@App.app.get('/a')\ndef a(): ..."
            ),
            "App.app",
        ),
    ],
)
def test_an_application_that_no_line_of_the_module_makes(
    write_module: Callable[[str, str], str],
    capsys: pytest.CaptureFixture[str],
    text: str,
    attribute: str,
) -> None:
    """The line goes below the one that makes it, wherever that is."""
    name = write_module(f"init_hidden_{len(text)}", text)
    assert main(["init", f"{name}:{attribute}"]) == Exit.OK

    assert f"# Below the line that makes {attribute}:" in capsys.readouterr().out
