"""The view of a client generator: what it makes of a document that tells of the cache.

A real generator, openapi-python-client, makes one client of the plain document and one of each
other; what both have is compared, and the latter talks to the application through the cache.
"""

import ast
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from asgi_multitier import CacheManager, CacheMiddleware

from .shop import shop

generator = pytest.importorskip("openapi_python_client")
config = pytest.importorskip("openapi_python_client.config")


def generate(document: dict[str, Any], into: Path) -> Path:
    """Let the generator make a package of a document."""
    source = into.with_suffix(".json")
    source.write_text(json.dumps(document))
    made = config.Config.from_sources(
        config_file=config.ConfigFile(post_hooks=[]),
        meta_type=config.MetaType.NONE,
        document_source=source,
        file_encoding="utf-8",
        overwrite=True,
        output_path=into,
    )
    assert generator.generate(config=made) == []
    return into


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where packages are made; what was imported from it is forgotten."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("client_"):
            del sys.modules[name]


def plain(folder: Path) -> Path:
    """The client of the document without a word of a cache."""
    return generate(shop().openapi(), folder / "client_plain")


def described(folder: Path, **extent: bool) -> Path:
    """The client of the document that tells of it."""
    app = shop()
    cache = CacheManager(redis_url=None, namespace="generated")
    app.add_middleware(CacheMiddleware, cache=cache)
    cache.document(app, **extent)
    return generate(app.openapi(), folder / "client_described")


def files(package: Path) -> dict[str, str]:
    """The text of each file of a package."""
    return {str(p.relative_to(package)): p.read_text() for p in sorted(package.rglob("*.py"))}


def signatures(package: Path) -> dict[str, str]:
    """The arguments of each function of a package, without what it returns."""
    return {
        f"{name}:{node.name}": ast.unparse(node.args)
        for name, text in files(package).items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_functions_and_models_are_the_same(folder: Path) -> None:
    """Only operations with a 304 differ, in what they return; no argument, no model."""
    before, after = plain(folder), described(folder)
    changed = {name for name, text in files(before).items() if files(after).get(name) != text}

    assert files(before).keys() == files(after).keys()
    assert signatures(before) == signatures(after)
    assert {Path(name).stem for name in changed} == {
        "product_products_id_get",
        "products_products_get",
        "mine_mine_get",
        "orders_orders_get",
    }
    for name in changed:
        lines = set(files(before)[name].splitlines())
        assert all(
            "304" in new or "Any" in new
            for new in files(after)[name].splitlines()
            if new.strip() and new not in lines
        )


def test_without_304_the_client_is_the_same_to_the_letter(folder: Path) -> None:
    """For those who keep a generated client in a repository."""
    assert files(plain(folder)) == files(described(folder, not_modified=False))


def test_if_none_match_is_one_more_argument(folder: Path) -> None:
    """Optional, and of the operations that have a validator alone."""
    before, after = signatures(plain(folder)), signatures(described(folder, if_none_match=True))
    changed = {name: after[name] for name in before if before[name] != after[name]}

    assert {name.partition(":")[0].rpartition("/")[2] for name in changed} == {
        "product_products_id_get.py",
        "products_products_get.py",
        "mine_mine_get.py",
        "orders_orders_get.py",
    }
    assert all("if_none_match: str | Unset=UNSET" in arguments for arguments in changed.values())


def imported(package: Path) -> tuple[ModuleType, ModuleType]:
    """A generated package, and its function for one product."""
    importlib.invalidate_caches()
    importlib.import_module(package.name)
    operation = f"{package.name}.api.default.product_products_id_get"
    return importlib.import_module(f"{package.name}.client"), importlib.import_module(operation)


@pytest.mark.parametrize("extent", [{}, {"if_none_match": True}], ids=["fields", "argument"])
async def test_the_generated_client_handles_304(folder: Path, extent: dict[str, bool]) -> None:
    """It gets the product, and no content when it says that it has it."""
    client_module, product = imported(described(folder, **extent))
    cache = CacheManager(redis_url=None, namespace="generated")
    app = shop()
    app.add_middleware(CacheMiddleware, cache=cache)
    transport = httpx.ASGITransport(app)

    def client(headers: dict[str, str]) -> Any:
        made = client_module.Client("http://shop", headers=headers, raise_on_unexpected_status=True)
        return made.set_async_httpx_client(
            httpx.AsyncClient(transport=transport, base_url="http://shop", headers=headers)
        )

    async with cache:
        first = await product.asyncio_detailed(7, client=client({}))
        tag = first.headers["etag"]
        if extent:
            again = await product.asyncio_detailed(7, client=client({}), if_none_match=tag)
        else:
            again = await product.asyncio_detailed(7, client=client({"if-none-match": tag}))

    assert (first.status_code, first.parsed.id, first.parsed.name) == (200, 7, "a")
    assert (again.status_code, again.parsed, again.content) == (304, None, b"")
