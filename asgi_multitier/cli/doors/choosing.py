"""Which way a command goes: what was given first, then what is there."""

import os
import stat
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from ...config.environment import read_dotenv
from ...redis.address import read_address
from ...workers.sockets import applications
from ..exits import CommandError, Exit
from ..output import Output
from .door import Door
from .http import HttpDoor
from .shared import SharedDoor
from .workers import WorkersDoor

URL = "ASGI_MULTITIER_ADMIN_URL"
TOKEN = "ASGI_MULTITIER_ADMIN_TOKEN"  # noqa: S105  # the name of a variable
NAMESPACE = "ASGI_MULTITIER_NAMESPACE"
REDIS = "REDIS_URL"


def add_target(parser: ArgumentParser) -> None:
    """The options that say which cache is meant."""
    group = parser.add_argument_group(
        "which cache", f"Without options: {URL}, the workers of this machine, or {REDIS}."
    )
    group.add_argument("--url", help="of an admin application, such as http://host:8000/_cache")
    group.add_argument(
        "--token-file", metavar="FILE", help=f"a file with its token, instead of {TOKEN}"
    )
    group.add_argument("--redis", metavar="URL", help="of the server that holds the log")
    group.add_argument("--namespace", metavar="NAME", help="of the application")


@asynccontextmanager
async def door_of(given: Namespace, output: Output) -> AsyncIterator[Door]:
    """The way to the cache that is meant, closed at the end.

    Raises:
        CommandError: If there is none.
    """
    door = await choose(given, output, os.environ)
    try:
        yield door
    finally:
        await door.close()


async def choose(given: Namespace, output: Output, environ: Mapping[str, str]) -> Door:
    """Find the way to the cache that is meant.

    Raises:
        CommandError: If there is none, or options contradict.
        ConfigError: If the address of the server is none.
    """
    if given.url and given.redis:
        raise CommandError(Exit.USAGE, "--url and --redis cannot both be given")
    settings = {**read_dotenv(Path(".env")), **environ}
    named = given.namespace or getattr(given, "everything", None)
    name = named or settings.get(NAMESPACE, "")
    # Not of a file: its author would get the token that stands in the environment.
    url = given.url or ("" if given.redis or given.namespace else environ.get(URL, ""))
    if url:
        return _over_http(url, given, output, environ)
    if not given.redis:
        workers = await _workers(name)
        if workers is not None:
            return workers
    redis = given.redis or settings.get(REDIS, "")
    if redis and redis != "none":
        read_address(redis)  # before the namespace is asked for, which would not help
        return SharedDoor(redis, _named(name, redis_given=True))
    of = f"of namespace {name}" if name else "of an application"
    raise CommandError(
        Exit.UNREACHABLE,
        f"no cache was found: no worker {of} answers on this machine",
        f"give --url (or set {URL}), or --redis and --namespace",
    )


def _over_http(url: str, given: Namespace, output: Output, environ: Mapping[str, str]) -> Door:
    token = token_of(given.token_file, environ)
    door = HttpDoor(url, token)
    if door.is_plain and token is not None:
        output.note("the token is sent unencrypted: use https:// outside of a private network")
    return door


def token_of(file: str | None, environ: Mapping[str, str]) -> str | None:
    """The token; None if there is none.

    Raises:
        CommandError: If it is none; if the file cannot be read, or others may read it.
    """
    if file is None:
        token = environ.get(TOKEN, "").strip()
        return _checked(token, TOKEN) if token else None
    try:
        with open(file, encoding="ascii") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                raise CommandError(
                    Exit.USAGE,
                    f"--token-file {file}: other users may read it",
                    f"chmod 600 {file}, and use another token if they could",
                )
            return _checked(opened.read(4096).strip(), f"--token-file {file}")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(Exit.USAGE, f"--token-file {file}: {error}") from None


def _checked(token: str, where: str) -> str:
    """A token that can be sent; what else stands there is not shown."""
    if not (token and token.isascii() and token.isprintable()):
        raise CommandError(Exit.USAGE, f"{where}: expected one line with the token")
    return token


def _named(name: str, *, redis_given: bool) -> str:
    if name:
        return name
    option = "--redis" if redis_given else "this"
    raise CommandError(
        Exit.USAGE,
        f"{option} needs the namespace of the application",
        f"give --namespace (or set {NAMESPACE}); the application logs it at its start",
    )


async def _workers(name: str) -> Door | None:
    """The workers of an application on this machine that answer; None if there are none."""
    found: list[WorkersDoor] = []
    for candidate in [name] if name else sorted(applications()):
        door = WorkersDoor(candidate)
        if await door.is_open():
            found.append(door)
    if len(found) > 1:
        names = ", ".join(door.namespace for door in found)
        raise CommandError(
            Exit.USAGE, f"several applications run on this machine: {names}", "give --namespace"
        )
    return found[0] if found else None
