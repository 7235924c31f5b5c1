"""`@manager.cached` for plain async functions."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_multitier.errors import ConfigError
from asgi_multitier.testing import FakeClock
from tests.manager.support import in_memory


@dataclass
class User:
    id: int
    lang: str = "en"


async def test_results_are_kept_by_the_arguments_that_the_key_names() -> None:
    """Positional, by keyword or by default: the same argument is the same argument."""
    async with in_memory() as cache:
        runs = []

        @cache.cached("user:{number}:{lang}", 60)
        async def user(number: int, lang: str = "en", *, trace: object = None) -> User:
            """Find a user."""
            runs.append(number)
            return User(number, lang)

        results = [
            await user(1),
            await user(number=1),
            await user(1, "en", trace=3),
            await user(1, "de"),
        ]

        assert results == [User(1), User(1), User(1), User(1, "de")]
        assert runs == [1, 1]
        assert user.key(1) == "user:1:en"
        assert user.__name__ == "user"
        assert user.__doc__ == "Find a user."
        assert repr(user) == "<CachedFunction 'user:{number}:{lang}'>"


async def test_results_are_read_as_what_the_function_says_it_returns() -> None:
    """From the cache too; without an annotation they are plain objects."""
    async with in_memory() as cache:

        @cache.cached("typed:{number}")
        async def typed(number: int) -> "list[User]":
            return [User(number)]

        @cache.cached("plain:{number}")
        async def plain(number: int):  # type: ignore[no-untyped-def]
            return User(number)

        assert await typed(1) == await typed(1) == [User(1)]
        assert await plain(1) == User(1)
        assert await plain(1) == {"id": 1, "lang": "en"}


async def test_results_are_dropped_by_arguments_and_by_tags() -> None:
    """`invalidate` with the same arguments, or a tag made of them."""
    async with in_memory() as cache:
        runs = []

        @cache.cached("user:{number}", tags=["user:{number}", "users"])
        async def user(number: int) -> int:
            runs.append(number)
            return len(runs)

        assert [await user(1), await user(1)] == [1, 1]
        assert await user.invalidate(1)
        assert await user(1) == 2
        await cache.invalidate_tags("user:1")
        assert await user(1) == 3
        await cache.invalidate_tags("users")
        assert await user(1) == 4
        await cache.invalidate("user:1")
        assert await user(1) == 5


async def test_options_and_lifetime_count() -> None:
    """As for `get_or_compute`."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        runs = []

        @cache.cached("k", 10, stale_if_error=60)
        async def value() -> int:
            runs.append(1)
            if len(runs) > 1:
                raise OSError("down")
            return 1

        assert await value() == 1
        clock.advance(11)
        assert await value() == 1
        assert len(runs) == 2
        clock.advance(60)
        with pytest.raises(OSError, match="down"):
            await value()


async def test_no_two_argument_lists_share_a_key() -> None:
    """A separator inside of an argument is escaped where it separates, and only there."""
    async with in_memory() as cache:

        @cache.cached("{a}:{b}/{c}")
        async def three(a: str, b: str, c: str) -> None: ...

        @cache.cached("page:{url}")
        async def one(url: str) -> None: ...

        assert three.key("x:y", "z", "") != three.key("x", "y:z", "")
        assert three.key("a%3Ab", "", "") != three.key("a:b", "", "")
        assert three.key("a:b", "c/d", "e-f%") == "a%3Ab:c%2Fd/e-f%25"
        assert one.key("http://x/?a=%20") == "page:http://x/?a=%20"


async def test_methods_are_functions_of_their_object() -> None:
    """The instance is the first argument, as ever."""
    async with in_memory() as cache:

        class Shop:
            def __init__(self) -> None:
                self.runs = 0

            @cache.cached("product:{number}")
            async def product(self, number: int) -> int:
                self.runs += 1
                return number

        shop = Shop()

        assert [await shop.product(1), await shop.product(1)] == [1, 1]
        assert shop.runs == 1
        assert Shop.product.key(shop, 1) == "product:1"


async def test_callers_share_one_run() -> None:
    """Coalesced, as everything."""
    async with in_memory() as cache:
        runs, gate = [], asyncio.Event()

        @cache.cached("k")
        async def slow() -> int:
            runs.append(1)
            await gate.wait()
            return 1

        calls = [asyncio.create_task(slow()) for _ in range(10)]
        await asyncio.sleep(0)
        gate.set()

        assert await asyncio.gather(*calls) == [1] * 10
        assert len(runs) == 1


async def _one(number: int) -> int:
    return number


def _sync(number: int) -> int:
    return number


@pytest.mark.parametrize(
    ("function", "key", "options", "message"),
    [
        (_sync, "k:{number}", {}, r"cached\(_sync\): function='_sync'.*an async function"),
        (_one, "", {}, r"cached\(_one\): key=''"),
        (
            _one,
            "k:{numbr}",
            {},
            r"cached\(_one\): 'k:\{numbr\}': numbr is not an option; did you mean number",
        ),
        (_one, "k:{number:x}", {}, r"plain \{name\} places"),
        (_one, "k", {"tags": ["t:{other}"]}, r"'t:\{other\}': other is not an option"),
        (_one, "k", {"tags": "t"}, "tags='t'"),
        (_one, "k", {"coalesce": 3}, r"cached\(_one\): coalesce=3"),
        (_one, "k", {"strategy": 0}, r"cached\(_one\): strategy=0"),
    ],
    ids=["sync", "empty", "misspelt", "format", "tag", "one tag", "option", "lifetime"],
)
async def test_what_is_wrong_is_said_where_it_is_decorated(
    function: Any, key: str, options: dict[str, Any], message: str
) -> None:
    """Not when it is first called."""
    async with in_memory() as cache:
        with pytest.raises(ConfigError, match=message):
            cache.cached(key, **options)(function)


async def test_places_that_would_run_together_are_refused() -> None:
    """`{a}{b}` is the same for (1, 23) and (12, 3)."""
    async with in_memory() as cache:

        async def two(a: int, b: int) -> None: ...

        for key in ("{a}{b}", "{a}x{b}", "{a}%{b}"):
            with pytest.raises(ConfigError, match="punctuation between them"):
                cache.cached(key)(two)
