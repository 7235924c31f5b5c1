"""Checked by mypy and pyright, never run.

A comment `# E: code` says which error of mypy a line must have; pyright must refuse the line too.
With `# M: code` pyright takes it: it finds a type that fits both arguments.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_type

from fastapi import FastAPI
from starlette.middleware import Middleware

from asgi_multitier import (
    CacheBuilder,
    CacheManager,
    CacheMiddleware,
    CacheStrategy,
    Policy,
    RedisTier,
    Rule,
    WarmReport,
    cached,
    invalidates,
    no_cache,
)


@dataclass
class User:
    id: int


async def load() -> User:
    return User(1)


def read() -> int:
    return 1


async def values(cache: CacheManager) -> None:
    assert_type(await cache.get_or_compute("k", load), User)
    assert_type(await cache.get_or_compute("k", read), int)
    assert_type(await cache.get_or_compute("k", lambda: 1, 60, tags=["t"]), int)
    found = await cache.get_or_compute("k", load, timedelta(1), coalesce="fleet")
    assert_type(found, User)
    assert_type(await cache.get_or_compute_typed("k", User, load), User)
    assert_type(await cache.get_or_compute_typed("k", list[User], lambda: [User(1)]), list[User])
    assert_type(await cache.get_typed("k", User), User | None)
    assert_type(await cache.get_or_compute("k", load, validator=read), User)
    await cache.get_or_compute("k", load, validator=1)  # E: call-overload
    await cache.get_or_compute("k", load, coalesec=True)  # E: call-overload
    await cache.get_or_compute_typed("k", User, read)  # M: arg-type
    await cache.set("k", 1, jiter=0.1)  # E: call-arg
    await cache.set("k", 1, "60")  # E: arg-type


async def warm_up(cache: CacheManager) -> None:
    assert_type(await cache.warm(["/a", "https://b/c"], base_url="https://b"), WarmReport)
    await cache.warm([("/a", {"Accept-Language": "fi"}), ("/b", [("A", "1")])], rate=5)
    await cache.warm([("/a", [(b"A", b"1")])], concurrency=1)
    assert_type(cache.sync.warm(["/a"]), WarmReport)
    await cache.warm([1])  # E: list-item
    await cache.warm("/a", rate="fast")  # E: arg-type
    CacheManager(warm="top:200")
    CacheManager(warm=200)  # E: arg-type


def sync_values(cache: CacheManager) -> None:
    assert_type(cache.sync.get_or_compute("k", read), int)
    assert_type(cache.sync.get_or_compute("k", load), User)
    assert_type(cache.sync.get_or_compute_typed("k", User, lambda: User(1)), User)
    assert_type(cache.sync.get_typed("k", User), User | None)
    assert_type(cache.sync.invalidate_many(["k"], settle=1), bool)


async def functions(cache: CacheManager) -> None:
    @cache.cached("user:{number}")
    async def user(number: int) -> User:
        return User(number)

    @cache.sync.cached("name:{number}")
    def name(number: int) -> str:
        return ""

    assert_type(await user(1), User)
    assert_type(await user.invalidate(number=1), bool)
    assert_type(name(1), str)
    assert_type(name.key(1), str)
    await user("1")  # E: arg-type
    name(2, 3)  # E: call-arg
    cache.cached("k")(read)  # E: arg-type


def settings() -> None:
    CacheManager(l1_bytes=1, redis_timeout=timedelta(seconds=1), credential_headers=["x-a"])
    CacheManager(l1_bytez=1)  # E: call-arg
    CacheManager(l1_bytes="1")  # E: arg-type
    CacheManager(mode="of")  # E: arg-type
    CacheBuilder().with_settings(l1_bytes=1, compress_over=1024)
    CacheBuilder().with_settings(l1_bytez=1)  # E: call-arg
    CacheBuilder().with_settings(max_entry=None)  # E: arg-type


async def app(scope: object, receive: object, send: object) -> None: ...


def middleware() -> None:
    CacheMiddleware(app, rules=[Rule("/x/*", 60, public=True)])
    CacheMiddleware(app, ruls=[])  # E: call-arg
    CacheMiddleware(app, rules=["/x/*"])  # E: list-item
    Rule("/x/*", 60, pubic=True)  # E: call-arg
    cached(60, vary=["accept-language"])
    cached(60, varry=["x"])  # E: call-arg
    cached("60")  # E: arg-type
    invalidates(tags=["a:{id}"], paths=["/a/{id}"])
    invalidates(tag=["a:{id}"])  # E: call-arg
    Policy(60, stale_if_error=timedelta(hours=1)).but(where="here", vary=["accept"])
    Policy(60, stale_if_eror=1)  # E: call-arg
    Policy.from_origin(max_age=1)  # E: call-arg


def added() -> None:
    """Starlette's own types carry the parameters of the middleware."""
    app = FastAPI(middleware=[Middleware(CacheMiddleware, CacheManager(), rules=[Rule("/", 1)])])
    app.add_middleware(CacheMiddleware)
    app.add_middleware(CacheMiddleware, CacheManager(redis_url=None), rules=[Rule("/x/*", 60)])
    app.add_middleware(CacheMiddleware, CacheManager(l2=RedisTier()), warm="top:200")
    app.add_middleware(CacheMiddleware, ruls=[])  # E: call-arg
    app.add_middleware(CacheMiddleware, rules=60)  # E: arg-type
    Middleware(CacheMiddleware, default=60)  # E: arg-type


@cached(CacheStrategy.SHORT_TERM, tags=["user:{number}"])
async def endpoint(number: int) -> User:
    return User(number)


@invalidates(tags=["user:{number}"])
def change(number: int) -> User:
    return User(number)


@no_cache
async def plain(number: int) -> int:
    return number


async def annotated() -> None:
    """Annotations leave a function's type as it is."""
    assert_type(await endpoint(1), User)
    assert_type(change(1), User)
    assert_type(await plain(1), int)
    await endpoint("1")  # E: arg-type
