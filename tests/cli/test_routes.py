"""`asgi-multitier routes`: the table, the findings, and the exit code for CI."""

import json
from pathlib import Path

import pytest

from asgi_multitier.cli.exits import Exit
from asgi_multitier.cli.main import main

SHOP = """
from fastapi import FastAPI
from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates

app = FastAPI()
app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="shop"))


@app.get("/products/{id}")
@cached(300, tags=["product:{id}"], vary=["accept-language"])
async def product(id: int):
    raise AssertionError("nothing runs")


@app.put("/products/{id}")
@invalidates(tags=["TAG:{id}"])
async def restock(id: int):
    raise AssertionError("nothing runs")


def create():
    return app


def broken():
    raise LookupError("no settings")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of an application in the working directory."""
    name = "shop_" + "".join(filter(str.isalnum, request.node.name)).lower()
    (tmp_path / f"{name}.py").write_text(SHOP.replace("TAG", "product"))
    (tmp_path / f"{name}_odd.py").write_text(SHOP.replace("TAG", "products"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere", *__import__("sys").path])
    return name


def test_the_table(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each route."""
    assert main(["routes", f"{shop}:app", "--check"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].split("  ")[0] == "ROUTE"
    (line,) = [one for one in lines if "/products/{id}" in one and "300 s" in one]
    assert "GET" in line
    assert "field:accept-language" in line
    assert "product:{id}" in line
    assert "PUT /products/{id} (restock)" in line


@pytest.mark.parametrize(("options", "code"), [([], Exit.OK), (["--check"], Exit.FINDING)])
def test_findings(
    shop: str, options: list[str], code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the table; with `--check` they end the program with 1."""
    assert main(["routes", f"{shop}_odd:app", *options]) == code
    out = capsys.readouterr().out

    assert "W2  route PUT /products/{id} (restock): The tag 'products:{id}'" in out
    assert "Did you mean 'product:{id}'?" in out


def test_json(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One object with routes and findings."""
    assert main(["routes", f"{shop}_odd:app", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)

    assert [one["code"] for one in told["findings"]] == ["W2"]
    assert "/products/{id}" in [one["route"] for one in told["routes"]]


def test_a_factory(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A function that makes the application; one that fails is told."""
    assert main(["routes", f"{shop}:create", "--factory", "--check"]) == Exit.OK
    assert "/products/{id}" in capsys.readouterr().out
    assert main(["routes", f"{shop}:broken", "--factory"]) == Exit.USAGE
    assert "LookupError: no settings" in capsys.readouterr().err
    assert main(["routes", f"{shop}:create"]) == Exit.USAGE


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("nowhere_at_all:app", "'module:attribute' of an application"),
        ("json", "'module:attribute' of an application"),
        ("json:loads", "an application with a CacheMiddleware"),
    ],
)
def test_what_is_no_application(
    target: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is expected."""
    assert main(["routes", target]) == Exit.USAGE
    assert expected in capsys.readouterr().err


def test_it_is_said_which_rules_only_observe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Next to a rule that caches, and in JSON."""
    text = (
        SHOP
        + """

@app.get("/offers")
@cached(60, shadow=True)
async def offers():
    raise AssertionError("nothing runs")
"""
    )
    (tmp_path / "shop_in_part.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["routes", "shop_in_part:app"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()

    assert [one.split()[0] for one in lines if "s, in shadow" in one] == ["/offers"]
    assert main(["--json", "routes", "shop_in_part:app"]) == Exit.OK
    routes = json.loads(capsys.readouterr().out)["routes"]
    assert [one["route"] for one in routes if one["shadow"]] == ["/offers"]
