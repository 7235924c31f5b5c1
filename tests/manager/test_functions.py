"""`@manager.cached` for plain async functions."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

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


async def test_a_validator_gets_the_arguments_of_the_call() -> None:
    """By them it finds out whether a stale result lives on; what is no function is refused."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        revisions = {1: "a", 2: "a"}
        runs = []

        @cache.cached("user:{number}", 60, validator=lambda number: revisions[number])
        async def user(number: int) -> User:
            runs.append(number)
            return User(number)

        await asyncio.gather(user(1), user(number=2))
        clock.advance(61)
        revisions[2] = "b"

        assert [await user(1), await user(number=2)] == [User(1), User(2)]
        assert runs == [1, 2, 2]
        assert cache.stats().validations == 1
        with pytest.raises(
            ConfigError, match=r"cached\(\w+\): validator=1 .* a callable that returns"
        ):
            cache.cached("other:{n}", validator=1)(user_of)  # type: ignore[arg-type]


async def user_of(n: int) -> int:
    """Find a user."""
    return n


async def test_a_validated_value_of_another_type_is_made_again() -> None:
    """What is stored does not fit the type that this call asks for."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        version = {"validator": lambda: 1}
        await cache.get_or_compute("k", lambda: "text", 60, **version)
        clock.advance(61)
        value = await cache.get_or_compute_typed("k", int, lambda: 7, 60, **version)

        assert (value, cache.stats().validations) == (7, 0)


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
            r"cached\(_one\): template='k:\{numbr\}'.*parameters of the function alone: number",
        ),
        (_one, "k:{number:x}", {}, r"plain \{name\} placeholders"),
        (_one, "k", {"tags": ["t:{other}"]}, r"template='t:\{other\}'.*parameters"),
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


async def test_what_a_function_was_made_with_keeps_it_from_the_key_of_another() -> None:
    """Defaults and what `partial` has bound separate results as what stands around does."""
    async with in_memory() as cache:

        async def times(number: int, factor: int) -> int:
            return number * factor

        def made(factor: int) -> Any:
            async def function(number: int, factor: int = factor) -> int:
                return number * factor

            return function

        for key, make in (
            ("default:{number}", made),
            ("bound:{number}", lambda factor: partial(times, factor=factor)),
        ):
            assert await cache.cached(key)(make(2))(3) == 6
            assert await cache.cached(key)(make(2))(3) == 6
            with pytest.raises(ConfigError, match="names factor, which"):
                cache.cached(key)(make(4))
            named = key + ":{factor}"
            assert await cache.cached(named)(make(2))(3) == 6
            assert await cache.cached(named)(make(4))(3) == 12

        assert await cache.cached("first:{factor}")(partial(times, 2))(3) == 6
        with pytest.raises(ConfigError, match="names number, which"):
            cache.cached("first:{factor}")(partial(times, 4))


async def test_a_function_that_returns_any_object_is_kept() -> None:
    """`object` stands for plain objects, as `Any` does."""
    async with in_memory() as cache:
        runs = []

        @cache.cached("row:{number}")
        async def row(number: int) -> list[object]:
            runs.append(number)
            return [{"id": number}]

        assert await row(1) == await row(1) == [{"id": 1}]
        assert runs == [1]


async def test_places_that_would_run_together_are_refused() -> None:
    """`{a}{b}` is the same for (1, 23) and (12, 3)."""
    async with in_memory() as cache:

        async def two(a: int, b: int) -> None: ...

        for key in ("{a}{b}", "{a}x{b}", "{a}%{b}"):
            with pytest.raises(ConfigError, match="punctuation between them"):
                cache.cached(key)(two)


async def test_only_what_is_returned_must_be_known_when_the_program_runs() -> None:
    """Parameters may be annotated with what only a type checker imports."""
    async with in_memory() as cache:

        @cache.cached("user:{number}")
        async def user(number: int, session: "Session | None" = None) -> User:  # type: ignore[name-defined]  # noqa: F821
            return User(number)

        assert await user(1) == await user(1) == User(1)

        @cache.cached("hidden:{number}")
        async def hidden(number: int) -> "Hidden":  # type: ignore[name-defined]  # noqa: F821
            return number

        for _ in range(2):
            with pytest.raises(ConfigError, match=r"cached\(.*hidden\).*'Hidden'.*TYPE_CHECKING"):
                await hidden(1)


async def test_a_type_of_the_function_around_is_found() -> None:
    """Where the function uses it, although its annotations are texts."""
    async with in_memory() as cache:

        @dataclass
        class Local:
            id: int

        async def plain(number: int) -> "Local":
            return Local(number)

        local = cache.cached("local:{number}")(plain)
        assert await local(1) == await local(1) == Local(1)


@dataclass
class Filter:
    words: list[str]
    hidden: str = field(default="", repr=False)


class Plain:
    pass


class Hiding(BaseModel):
    pass


class Named:
    def __str__(self) -> str:
        return "me"


DIFFERENT: list[tuple[Any, Any]] = [
    (True, 1),
    (1, 1.0),
    (True, 1.0),
    (None, ""),
    ([1, 2], [12]),
    (["a, b"], ["a", "b"]),
    ([1], (1,)),
    (Filter(["a"], "x"), Filter(["a"], "y")),
    ({"a": 1}, {"a": True}),
    (b"a", "a"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=repr)
async def test_different_arguments_have_different_texts(one: Any, other: Any) -> None:
    """Truth values and numbers, lists by their parts, and what a class leaves out of its text."""
    async with in_memory() as cache:

        @cache.cached("k:{a}")
        async def function(a: Any) -> None: ...

        assert function.key(one) != function.key(other)


async def test_the_same_argument_has_one_text() -> None:
    """Sets in any order, defaults that are spelt out, positions and names."""
    async with in_memory() as cache:

        @cache.cached("k:{a}:{b}:{c}")
        async def function(a: Any, /, b: int = 2, *rest: Any, c: int = 3, **more: Any) -> None: ...

        assert function.key({"b", "a"}) == function.key({"a", "b"}) == "k:{'a', 'b'}:2:3"
        assert function.key(1) == function.key(1, 2) == function.key(1, c=3, b=2) == "k:1:2:3"
        assert function.key(1, 2, "more", d=4) == "k:1:2:3"
        assert function.key(Named()) == "k:me:2:3"


@pytest.mark.parametrize(
    "argument",
    [Plain(), [Plain()], {"a": Plain()}, lambda: 1, object(), SecretStr("x"), Hiding()],
    ids=repr,
)
async def test_what_no_text_tells_apart_is_refused(argument: Any) -> None:
    """An address may soon be another object's, and all masked secrets look alike."""
    async with in_memory() as cache:

        @cache.cached("k:{a}")
        async def function(a: Any) -> None: ...

        with pytest.raises(ConfigError, match=r"cached\(.*function\): a=.*whose text says all"):
            await function(argument)


async def test_partial_functions_and_methods_of_classes() -> None:
    """Whatever is called as an async function."""
    async with in_memory() as cache:
        runs = []

        async def add(a: int, b: int) -> User:
            runs.append((a, b))
            return User(a + b)

        bound = cache.cached("sum:{a}:{b}")(partial(add, b=2))
        assert await bound(1) == await bound(1) == User(3)
        assert bound.key(1) == "sum:1:2"

        class Shop:
            @classmethod
            @cache.cached("of:{number}")
            async def of(cls, number: int) -> str:
                runs.append((number, 0))
                return cls.__name__

            @staticmethod
            @cache.cached("static:{number}")
            async def static(number: int) -> int:
                runs.append((number, 1))
                return number

            @cache.cached("own:{number}")
            async def own(self, number: int) -> int:
                runs.append((number, 2))
                return number

        shop = Shop()
        for _ in range(2):
            assert await Shop.of(5) == await shop.of(5) == "Shop"
            assert await Shop.static(5) == await shop.static(5) == 5
            assert await shop.own(5) == await Shop().own(5) == 5
        assert runs == [(1, 2), (5, 0), (5, 1), (5, 2)]
        assert shop.own.key(5) == "own:5"
        assert await shop.own.invalidate(5)
        assert await shop.own(5) == 5
        assert runs[-1] == (5, 2)
        assert len(runs) == 5
        assert repr(shop.own).startswith("<<CachedFunction 'own:{number}'> of ")


async def _generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    "function",
    [_generator, lambda: 1, classmethod(_one), staticmethod(_sync), len, Plain],
    ids=repr,
)
async def test_what_is_no_async_function_is_refused(function: Any) -> None:
    """With what is allowed."""
    async with in_memory() as cache:
        with pytest.raises(ConfigError, match="an async function"):
            cache.cached("k")(function)


async def test_two_functions_cannot_have_one_key() -> None:
    """Each would be given the other's results. The same one may be made again."""
    async with in_memory() as cache:

        def made(table: str, number: int) -> Any:
            async def find(row: int) -> str:
                return f"{table} {number}"

            return cache.cached("row:{row}")(find)

        assert await made("users", 1)(1) == "users 1"
        assert await made("users", 1)(1) == "users 1"
        with pytest.raises(ConfigError, match=r"key='row:\{row\}'.*names number, table, which"):
            made("orders", 1)

        async def another(row: int) -> str:
            return ""

        with pytest.raises(ConfigError, match=r"a key of its own; this one is that of .*find"):
            cache.cached("row:{row}")(another)
        with pytest.raises(ConfigError, match="a key of its own"):
            cache.sync.cached("row:{row}")(lambda row: "")
        cache.sync.cached("one")(lambda: 1)
        with pytest.raises(ConfigError, match="a key of its own"):
            cache.sync.cached("one")(
                lambda: 2,
            )


async def test_a_function_may_call_itself() -> None:
    """It is not there yet while it is decorated."""
    async with in_memory() as cache:

        @cache.cached("fib:{n}")
        async def fib(n: int) -> int:
            return n if n < 2 else await fib(n - 1) + await fib(n - 2)

        assert await fib(20) == 6765
