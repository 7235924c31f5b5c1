"""The README is correct: its example runs and behaves as described."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

README = Path(__file__).parents[2] / "README.md"


def blocks() -> list[str]:
    """The Python code of README, in order."""
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


BROWSER = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "fi-FI,fi;q=0.9,en;q=0.8",
    "cache-control": "max-age=0",
    "cookie": "_ga=GA1.1.1234; _gid=GA1.1.5678; _fbp=fb.1.9; _hjSessionUser_1=x; theme=dark",
    "priority": "u=0, i",
    "referer": "http://shop.test/",
    "sec-ch-ua": '"Chromium";v="142", "Not_A Brand";v="99"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "same-origin",
    "sec-fetch-user": "?1",
    "upgrade-insecure-requests": "1",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0",
}
"""What a browser sends when a page is loaded again, on a site with analytics."""


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the application that README shows."""
    monkeypatch.setenv("REDIS_URL", "none")
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(blocks()[0], str(README), "exec"), names)
    transport = httpx.ASGITransport(names["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        yield client
        await _close(names["app"])


async def _close(app: Any) -> None:
    from asgi_multitier import CacheMiddleware

    layer = app.middleware_stack
    while not isinstance(layer, CacheMiddleware):
        layer = layer.app
    await layer.manager.close()


async def test_example_hits_after_a_miss(shop: httpx.AsyncClient) -> None:
    """The second request is answered from memory; `Cache-Status` says so on both."""
    first = await shop.get("/products/1")
    second = await shop.get("/products/1")

    assert (first.status_code, first.json()) == (200, {"id": 1, "stock": 5})
    assert "fwd=uri-miss; stored" in first.headers["cache-status"]
    assert first.content == second.content
    assert re.fullmatch(r"asgi-multitier; hit; ttl=\d+; detail=l1", second.headers["cache-status"])


async def test_example_hits_in_a_browser(shop: httpx.AsyncClient) -> None:
    """With cookies of scripts and all else, also where another client was first."""
    await shop.get("/products/1")

    second = await shop.get("/products/1", headers=BROWSER)

    assert "; hit;" in second.headers["cache-status"]


async def test_example_drops_what_it_names(shop: httpx.AsyncClient) -> None:
    """After the PUT the new amount is served at once."""
    await shop.get("/products/1")

    await shop.put("/products/1", params={"amount": 4})

    assert (await shop.get("/products/1")).json() == {"id": 1, "stock": 4}


def test_example_is_as_short_as_it_claims_to_be_readable() -> None:
    """The application itself, without imports and blank lines, is about 15 lines."""
    code = [line for line in blocks()[0].splitlines() if line.strip()]
    own = [line for line in code if not line.startswith(("import", "from"))]

    assert len(own) <= 15


def test_readme_names_the_two_commands() -> None:
    """README and Makefile both contain `make demo` and `make test`."""
    makefile = (README.parent / "Makefile").read_text()

    for target in ("demo", "test"):
        assert f"make {target}" in README.read_text()
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
