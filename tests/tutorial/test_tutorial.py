"""The tutorial is correct: who types what it says sees what it shows."""

import re
import socket
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import wait_for
from tests.servers import ValkeyServer, free_port
from tests.tutorial.likeness import alike, has
from tests.tutorial.page import DOCS, blocks, files, shown_alone
from tests.tutorial.reader import PREPARING, Reader
from tests.tutorial.terminal import output

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

PAGE = "tutorial.md"
SERVE = "uvicorn shop:app"


@pytest.fixture
def reader(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """Someone in an empty directory, with no Redis at the default address."""
    with socket.socket() as probe:
        if not probe.connect_ex(("127.0.0.1", 6379)):
            pytest.skip("a server listens at the default address of Redis")

    def redis() -> str:
        server: ValkeyServer = request.getfixturevalue("own_valkey")
        return server.url.removesuffix("/0")

    directory = tempfile.TemporaryDirectory(prefix="r-")  # sockets need a short path
    with directory as runtime, Reader(tmp_path, runtime, redis) as reader:
        yield reader


def test_each_step_shows_what_the_page_shows(reader: Reader) -> None:
    """From the first file to the test that fails, with every output that the page has."""
    for block in blocks(PAGE):
        if block.title == "Terminal 1" and "uvicorn " not in block.text:
            reader.leave()
        reader.follow(block)


def test_a_port_in_use(reader: Reader) -> None:
    """The last line with one worker, the only one with two; the exit code is not zero."""
    one = shown_alone(PAGE)[0]
    two = re.findall(r"`(ERROR: .*?)`", (DOCS / PAGE).read_text().replace("\n", " "))
    (reader.place / "shop.py").write_text(files(PAGE)["shop.py"])
    with socket.create_server(("127.0.0.1", reader.port)):
        for command, shown in ((SERVE, one), (f"{SERVE} --workers 2", two[0])):
            line = f"{command} --port {reader.port}"
            said = output(line, reader.place, reader.environment)
            failed = [line for line in alike(said) if line.startswith("ERROR")]
            assert failed == alike(shown)


def test_a_redis_that_does_not_answer(reader: Reader) -> None:
    """The application starts, and the line that the page shows says so."""
    (reader.place / "shop.py").write_text(files(PAGE)["shop.py"])
    reader.serve(f"REDIS_URL=redis://127.0.0.1:{free_port()} {SERVE}")
    server = reader.server
    assert server is not None

    wait_for(lambda: has(server.said, shown_alone(PAGE)[1]))


def test_outputs_that_no_command_gives() -> None:
    """Are these two, and each has its own test."""
    first, second = shown_alone(PAGE)

    assert "address already in use" in first
    assert "does not answer" in second


def test_what_is_installed_is_what_the_package_offers() -> None:
    """The extras exist."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    (line,) = [
        line
        for block in blocks(PAGE)
        for line in block.text.splitlines()
        if line.startswith(PREPARING[-1])
    ]
    extras = re.search(r"asgi-multitier\[(.+?)\]", line)

    assert extras is not None
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])
