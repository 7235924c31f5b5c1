"""A reader who follows a page to the letter, with other ports."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

from asgi_multitier.cli.exits import Exit
from tests.patience import wait_for
from tests.servers import free_port
from tests.tutorial import commands, curl
from tests.tutorial.likeness import alike, has, without_slowness
from tests.tutorial.page import Block
from tests.tutorial.terminal import Server, output

PREPARING = ("python3 -m venv ", ". .venv/", "pip install ")
"""How lines begin that make the environment: that of the tests is there already."""


class Reader:
    """Does what the blocks of a page say, and compares what is seen with what the page shows.

    Args:
        place: An empty directory.
        runtime: A directory with a short path, where workers meet.
        redis: Gives the address of a server, once the page has it started.
    """

    def __init__(self, place: Path, runtime: str, redis: Callable[[], str]) -> None:
        self.place = place
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if "REDIS_URL" not in name},
            "XDG_RUNTIME_DIR": runtime,
            "ASGI_MULTITIER_REDIS_TIMEOUT": "30",  # see `slow_machine`
            # Of the plugins in this environment, the reader's has one.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_asgi_multitier",
        }
        self.server: Server | None = None
        self._redis = redis
        self._addresses = {"127.0.0.1:8000": f"127.0.0.1:{self.port}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def leave(self) -> str:
        """Ctrl-C in the first terminal; what the server there has written."""
        said = self.server.stop() if self.server is not None else ""
        self.server = None
        return said

    def follow(self, block: Block) -> None:
        """Save a file, change one, or type the lines of a block and look at what is seen."""
        if block.language == "py" and block.name:
            (self.place / block.name).write_text(block.text)
        elif block.language == "py":
            self._change("shop.py", block.text)
        elif block.language == "sh":
            self._type(block)

    def _change(self, name: str, line: str) -> None:
        """Replace the line that begins as this one."""
        file = self.place / name
        begins = line[: line.index("(") + 1]
        text, count = re.subn(
            rf"^{re.escape(begins)}.*\n", line, file.read_text(), flags=re.MULTILINE
        )
        assert count == 1, line
        file.write_text(text)

    def _type(self, block: Block) -> None:
        said = ""
        for line in self.own(block.text).splitlines():
            if "uvicorn " in line:
                self.serve(line, block.shown)
            elif line.startswith("docker run"):
                self._addresses["redis://127.0.0.1:6379"] = self._redis()
            elif not line.startswith(PREPARING):
                said += self.run(line)
        if said.startswith(("HTTP/", "{")):
            assert alike(said) == alike(block.shown)
        elif "uvicorn " not in block.text:
            assert has(said, block.shown), said

    def own(self, text: str) -> str:
        """A text of the page with this reader's addresses."""
        for shown, used in self._addresses.items():
            text = text.replace(shown, used)
        return text

    def serve(self, line: str, shown: str = "") -> None:
        """Start a server in place of the one before, and compare what it writes.

        The lines of several workers are mixed.
        """
        self.leave()
        self.server = Server(f"{line} --port {self.port}", self.place, self.environment)
        said = without_slowness(self.server.wait())
        assert not shown or sorted(alike(said)) == sorted(alike(shown))

    def run(self, line: str) -> str:
        """Run a line to its end; its output."""
        if "curl " in line:
            said = curl.run(line)
            if "-X PUT" in line:
                self._settle()
            return said
        if line.startswith("echo "):
            subprocess.run(line, shell=True, cwd=self.place, check=True)
            return ""
        if line.startswith("asgi-multitier invalidate "):
            return commands.run(shlex.split(line)[1:], self.environment)[1]
        return output(line, self.place, self.environment)

    def _settle(self) -> None:
        """Wait until all workers have seen the edit, as a person's next command comes later."""
        words = shlex.split("invalidate --tag edits --wait 10")
        wait_for(lambda: commands.run(words, self.environment)[0] == Exit.OK)
