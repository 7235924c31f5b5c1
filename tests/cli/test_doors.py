"""The ways to a cache: which is taken, and what becomes of one that does not answer."""

from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier import CacheManager, ConfigError
from asgi_multitier.cli.doors.choosing import NAMESPACE, choose, token_of
from asgi_multitier.cli.doors.workers import WorkersDoor
from asgi_multitier.cli.exits import CommandError, Exit
from asgi_multitier.cli.main import main
from asgi_multitier.cli.output import Output
from tests.cli.admin import served
from tests.patience import until
from tests.servers import free_port

PROBLEM = {"detail": "this is why", "allowed": "that"}
STATUSES = (
    (401, Exit.NOT_ALLOWED, "ASGI_MULTITIER_ADMIN_TOKEN"),
    (403, Exit.NOT_ALLOWED, "that"),
    (421, Exit.NOT_ALLOWED, "that"),
    (429, Exit.NOT_ALLOWED, "that"),
    (404, Exit.UNREACHABLE, "cache.admin"),
    (422, Exit.USAGE, "allowed: that"),
    (500, Exit.UNREACHABLE, "log of the application"),
    (503, Exit.UNREACHABLE, "log of the application"),
    (307, Exit.UNREACHABLE, "redirects elsewhere"),
)


@pytest.mark.parametrize("command", ["stats", "tail"])
@pytest.mark.parametrize(("status", "code", "said"), STATUSES)
def test_answers_that_refuse(
    status: int, code: Exit, said: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has its code, and says what to do; a redirect is not followed."""
    answer = (status, PROBLEM)
    with served({"GET api/stats": answer, "GET api/events": answer}) as server:
        assert main([command, "--url", server.url]) == code

    written = capsys.readouterr().err
    assert said in written
    assert len(server.asked) == 1
    assert ("this is why" in written) is (status != 307)


COMMANDS = (
    ["stats"],
    ["top", "--times", "1", "--every", "0.2"],
    ["instances"],
    ["explain", "/"],
    ["invalidate", "--tag", "a"],
    ["keys"],
    ["doctor"],
    ["mode"],
    ["mode", "off"],
    ["warm", "/a"],
)
ROUTES = ("stats", "fleet", "entries", "explain", "invalidate", "mode", "warm")
SHAPES: tuple[Any, ...] = ({}, [[]], None)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_answers_of_another_shape(
    command: list[str], shape: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of another release: no traceback, whose exit code would mean a finding."""
    where = [f"{method} api/{name}" for method in ("GET", "POST") for name in ROUTES]
    with served(dict.fromkeys([*where, "GET api"], shape)) as server:
        assert main([*command, "--url", server.url]) == Exit.UNREACHABLE

    assert "same release" in capsys.readouterr().err


EVENTS = (b"data: 3\n\n", b'data: {"kind":"fill","at":1e300}\n\n', b"data: NaN\n\n")


@pytest.mark.parametrize(
    "event",
    [*EVENTS, b"data: " + b"[" * 60_000 + b"\n\n"],
    ids=["no object", "a time", "a number", "too deep"],
)
def test_events_of_another_shape(event: bytes) -> None:
    """The same."""
    with served({"GET api/events": event}) as server:
        assert main(["tail", "--url", server.url]) == Exit.UNREACHABLE


NO_JSON = (b'{"total": NaN}', b"[" * 60_000)


@pytest.mark.parametrize("content", NO_JSON, ids=["a number", "too deep"])
def test_what_is_no_json(content: bytes) -> None:
    """It would come out of `--json`."""
    with served({"GET api/stats": content}) as server:
        assert main(["stats", "--json", "--url", server.url]) == Exit.UNREACHABLE


FOREIGN: tuple[Any, ...] = (b"<html>", (500, b"<html>"))


@pytest.mark.parametrize("answer", FOREIGN)
def test_what_is_no_admin_application(answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not shown."""
    with served({"GET api/stats": answer}) as server:
        assert main(["stats", "--url", server.url]) == Exit.UNREACHABLE

    assert "<html>" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["stats", "tail"])
def test_nothing_answers(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The address is named."""
    assert main([command, "--url", "http://127.0.0.1:1/_cache"]) == Exit.UNREACHABLE
    assert "http://127.0.0.1:1/_cache: " in capsys.readouterr().err


URLS = (
    "ftp://host/_cache",
    "http:///_cache",
    "http://user:secret@host/_cache",
    "http://host:port/_cache",
    "http://[::1",
    "_cache",
)


@pytest.mark.parametrize("url", URLS)
def test_urls_that_are_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was written is not repeated: it may hold a password."""
    assert main(["stats", "--url", url]) == Exit.USAGE
    assert "secret" not in capsys.readouterr().err


# Tokens.


def test_a_token_from_a_file(tmp_path: Path) -> None:
    """Which this user alone may read."""
    file = tmp_path / "token"
    file.write_text("abc\n")
    file.chmod(0o600)

    assert token_of(str(file), {"ASGI_MULTITIER_ADMIN_TOKEN": "other"}) == "abc"


FILES = ((0o644, "abc"), (0o640, "abc"), (0o600, ""), (0o600, "a\nb"), (0o600, "ü"), (None, ""))


@pytest.mark.parametrize(("mode", "content"), FILES)
def test_files_that_hold_no_token(mode: int | None, content: str, tmp_path: Path) -> None:
    """Others may read it, or there is none in it."""
    file = tmp_path / "token"
    if mode is not None:
        file.write_text(content, encoding="utf-8")
        file.chmod(mode)
    with pytest.raises(CommandError) as raised:
        token_of(str(file), {})

    assert raised.value.exit is Exit.USAGE


def test_a_token_from_the_environment() -> None:
    """Without what an editor or a shell has put around it."""
    assert token_of(None, {"ASGI_MULTITIER_ADMIN_TOKEN": "abc\r\n"}) == "abc"


@pytest.mark.parametrize("token", ["secret\nb", "secret\x00", "sécret"])
def test_what_is_no_token(token: str) -> None:
    """It cannot be sent, and is not shown."""
    with pytest.raises(CommandError) as raised:
        token_of(None, {"ASGI_MULTITIER_ADMIN_TOKEN": token})

    assert raised.value.exit is Exit.USAGE
    assert token not in str(raised.value)


TOKENS = ({}, {"ASGI_MULTITIER_ADMIN_TOKEN": ""})


@pytest.mark.parametrize("environ", TOKENS)
def test_no_token(environ: dict[str, str]) -> None:
    """The request is sent without one."""
    assert token_of(None, environ) is None


PLAIN = (
    ("http://10.0.0.7/_cache", True),
    ("http://localhost:8000/_cache", False),
    ("https://10.0.0.7/_cache", False),
)


@pytest.mark.parametrize(("url", "told"), PLAIN)
async def test_a_token_in_the_clear(url: str, told: bool) -> None:
    """It is said where others may read along."""
    err = StringIO()
    output = Output(StringIO(), err, as_json=False, color=False)
    await choose(options(url=url), output, {"ASGI_MULTITIER_ADMIN_TOKEN": "t"})

    assert ("unencrypted" in err.getvalue()) is told


# Choosing.


def options(**given: str | None) -> Namespace:
    """The options of a command line."""
    return Namespace(**{"url": None, "redis": None, "namespace": None, "token_file": None} | given)


def quiet() -> Output:
    """What writes nowhere."""
    return Output(StringIO(), StringIO(), as_json=False, color=False)


ADMIN = {"ASGI_MULTITIER_ADMIN_URL": "http://localhost/a"}
SHOP = {"ASGI_MULTITIER_NAMESPACE": "shop"}
REDIS = {"REDIS_URL": "redis://127.0.0.1:1"}
CHOICES = (
    (options(url="http://localhost/b"), ADMIN, "http://localhost/b"),
    (options(), ADMIN | SHOP | REDIS, "http://localhost/a"),
    (options(), SHOP | REDIS, "namespace shop at redis://127.0.0.1:1"),
    (options(namespace="bank"), ADMIN | SHOP | REDIS, "namespace bank at redis://127.0.0.1:1"),
    (
        options(redis="redis://127.0.0.1:2", namespace="shop"),
        ADMIN | REDIS,
        "namespace shop at redis://127.0.0.1:2",
    ),
)


@pytest.mark.parametrize(("given", "environ", "name"), CHOICES)
async def test_which_way_is_taken(given: Namespace, environ: dict[str, str], name: str) -> None:
    """Options come before the environment, and a URL before a server."""
    door = await choose(given, quiet(), environ)
    await door.close()

    assert door.name == name


async def test_a_wrong_address_is_told_before_a_namespace_is_asked_for() -> None:
    """Of an option and of the environment."""
    for given, environ in (
        (options(redis="redis:/x"), {}),
        (options(), {"REDIS_URL": "redis:/x"}),
    ):
        with pytest.raises(ConfigError, match="redis: is not followed by //"):
            await choose(given, quiet(), environ)


async def test_settings_of_a_file(tmp_path: Path) -> None:
    """A `.env` file in this directory counts, as it does for the application."""
    (tmp_path / ".env").write_text("ASGI_MULTITIER_NAMESPACE=shop\nREDIS_URL=redis://127.0.0.1:1\n")
    door = await choose(options(), quiet(), {})
    await door.close()

    assert door.name == "namespace shop at redis://127.0.0.1:1"


async def test_a_file_does_not_say_where_the_token_goes(tmp_path: Path) -> None:
    """It may come with a directory that someone else has made."""
    (tmp_path / ".env").write_text("ASGI_MULTITIER_ADMIN_URL=http://evil.example/\n")
    with pytest.raises(CommandError) as raised:
        await choose(options(), quiet(), {"ASGI_MULTITIER_ADMIN_TOKEN": "t"})

    assert raised.value.exit is Exit.UNREACHABLE


async def test_a_question_that_is_too_long_for_a_socket() -> None:
    """Is an error of the arguments, as over HTTP."""
    door = WorkersDoor("shop")
    door._number = 0
    with pytest.raises(CommandError) as raised:
        await door.ask("POST", "api/invalidate", None, {"tags": ["x" * 70_000]})

    assert raised.value.exit is Exit.USAGE


def test_a_host_that_has_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot be looked up."""
    assert main(["stats", "--url", f"http://{'a' * 70}.b/"]) == Exit.UNREACHABLE
    assert "address in --url" in capsys.readouterr().err


NONE = (
    (options(), {}, Exit.UNREACHABLE, "--url"),
    (options(), SHOP | {"REDIS_URL": "none"}, Exit.UNREACHABLE, "--url"),
    (options(), REDIS, Exit.USAGE, "--namespace"),
    (options(url="http://a", redis="redis://b"), {}, Exit.USAGE, ""),
)


@pytest.mark.parametrize(("given", "environ", "code", "remedy"), NONE)
async def test_no_way(given: Namespace, environ: dict[str, str], code: Exit, remedy: str) -> None:
    """It says which option to give."""
    with pytest.raises(CommandError) as raised:
        await choose(given, quiet(), environ)

    assert raised.value.exit is code
    assert remedy in raised.value.remedy


# The sockets of workers.


@asynccontextmanager
async def working(*names: str) -> AsyncIterator[list[CacheManager]]:
    """An application with a worker, for each name."""
    async with AsyncExitStack() as ends:
        caches = [CacheManager(redis_url=None, namespace=name, dotenv=None) for name in names]
        for cache in caches:
            cache.workers.is_wanted = True
            await ends.enter_async_context(cache)
            await until(lambda cache=cache: cache.workers.number is not None)  # type: ignore[misc]
        yield caches


async def test_the_only_application_of_a_machine_is_found() -> None:
    """Without any option; and by its name where there are several."""
    async with working("shop"):
        door = await choose(options(), quiet(), {})
        assert door.name == "workers of shop on this machine"
        async with working("bank"):
            with pytest.raises(CommandError) as raised:
                await choose(options(), quiet(), {})
            door = await choose(options(namespace="bank"), quiet(), {})

            confirmed = await choose(options(everything="shop"), quiet(), {NAMESPACE: "bank"})
            with pytest.raises(CommandError, match="no worker of namespace shp answers"):
                await choose(options(namespace="shp"), quiet(), {})

    assert raised.value.exit is Exit.USAGE
    assert "bank, shop" in str(raised.value)
    assert door.name == "workers of bank on this machine"
    assert confirmed.name == "workers of shop on this machine"


async def test_workers_that_have_ended() -> None:
    """No answer, whether before or while a command runs; and no events by this way."""
    async with working("shop"):
        door = await choose(options(), quiet(), {})
    for gone in (door, WorkersDoor("shop")):
        with pytest.raises(CommandError) as raised:
            await gone.ask("GET", "api")
        assert raised.value.exit is Exit.UNREACHABLE
        with pytest.raises(CommandError, match="events"):
            gone.events("")
        await gone.close()


# The server of the log.


@pytest.mark.parametrize("command", ["instances", "tail", "doctor"])
def test_a_server_that_is_away(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, without the password."""
    url = f"redis://app:secret@127.0.0.1:{free_port()}"
    code = main([command, "--redis", url, "--namespace", "shop"])

    written = "".join(capsys.readouterr())
    assert code == Exit.UNREACHABLE
    assert "127.0.0.1" in written
    assert "secret" not in written


@pytest.mark.parametrize("url", ["http://shop", "redis://host?colour=red"])
def test_addresses_that_are_none(url: str) -> None:
    """As the cache refuses them."""
    assert main(["instances", "--redis", url, "--namespace", "shop"]) == Exit.USAGE


def test_events_of_something_else() -> None:
    """JSON where events should be."""
    with served({"GET api/events": (204, {})}) as server:
        assert main(["tail", "--url", server.url]) == Exit.UNREACHABLE


def test_a_server_without_encryption() -> None:
    """What does not speak TLS is not asked without it."""
    with served({"GET api/stats": {}}) as server:
        url = server.url.replace("http:", "https:")
        assert main(["stats", "--url", url]) == Exit.UNREACHABLE

    assert server.asked == []
