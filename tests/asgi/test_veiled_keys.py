"""What a shared tier holds names nobody: credentials stand in keys as digests."""

import logging
from typing import Any

import pytest
import redis.asyncio as redis_client

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.patience import until
from tests.servers import ValkeyServer
from tests.support import Origin, caching, respond

TELLTALE = "ann-7f3a-verbatim"
"""Stands in each credential, and may stand nowhere else."""

RULES: dict[str, tuple[Policy, str, list[tuple[str, str]]]] = {
    "cookies": (Policy(60, cookies=["sid"]), "/x", [("cookie", f"sid={TELLTALE}")]),
    "field": (Policy(60, vary=["authorization"]), "/x", [("authorization", f"Bearer {TELLTALE}")]),
    "vary-by": (Policy(60, vary_by=lambda r: r.headers["x-user"]), "/x", [("x-user", TELLTALE)]),
    "tuple": (Policy(60, vary_by=lambda r: (1, r.headers["x-user"])), "/x", [("x-user", TELLTALE)]),
    "whole-cookie": (Policy.from_origin(), "/x", [("cookie", f"a={TELLTALE}")]),
    "vary-cookie": (Policy.from_origin(public=True), "/vary", [("cookie", f"a={TELLTALE}")]),
    "query": (Policy(60), f"/x?page=1&access_token={TELLTALE}", []),
    "encoded": (Policy(60), f"/x?ap%69Key={TELLTALE}", []),
    "semicolon": (Policy(60), f"/x?page=1;token={TELLTALE}", []),
    "listed": (Policy(60, query=["sig"]), f"/x?b=1&sig={TELLTALE}", []),
}


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    vary = [(b"vary", b"Cookie")] if scope["path"] == "/vary" else []
    await respond(send, b"page", (b"cache-control", b"max-age=60"), *vary)


@pytest.mark.parametrize("secret", [None, b"a secret of sixteen"], ids=["bare", "secret"])
@pytest.mark.parametrize("rule", RULES)
async def test_no_credential_stands_in_redis(
    rule: str,
    secret: bytes | None,
    own_valkey: ValkeyServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor in a log line or a `repr`; another instance finds the entry all the same."""
    policy, target, lines = RULES[rule]
    caplog.set_level(logging.DEBUG, logger="asgi_multitier")
    settings: dict[str, Any] = {
        "redis_url": own_valkey.url,
        "redis_timeout": 30,
        "namespace": "shop",
        "secret": secret,
    }
    async with caching(Origin(page), [Rule("*", policy)], **settings) as cache:
        await cache.manager.start()
        await until(lambda: cache.manager.engine.log.trusted)
        assert (await cache.get(target, lines)).stored
        await cache.manager.close()
        slots = cache.manager.engine.stack.local.select(lambda entry: True)
        shown = repr([slot.entry for slot in slots]) + repr(cache.middleware) + caplog.text
    async with redis_client.Redis.from_url(own_valkey.url) as client:
        names = [key async for key in client.scan_iter()]
        dumped = b"".join([await client.get(name) or b"" for name in names if b"r:" in name])
    async with caching(Origin(page), [Rule("*", policy)], **settings) as other:
        await other.manager.start()
        await until(lambda: other.manager.engine.log.trusted)
        assert (await other.get(target, lines)).hit
        assert not (await other.get(target.replace("ann", "bob"), _of_bob(lines))).hit

    assert dumped
    assert TELLTALE.encode() not in dumped + b"".join(names)
    assert TELLTALE not in shown


def _of_bob(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value.replace("ann", "bob")) for name, value in lines]
