"""How the program reads its arguments, writes, and ends."""

import json
import subprocess
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from importlib.metadata import EntryPoint
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest

from asgi_multitier.cli.command import Command
from asgi_multitier.cli.exits import CommandError, Exit
from asgi_multitier.cli.main import main
from asgi_multitier.cli.output import Output, printable, wants_color
from asgi_multitier.errors import ConfigError


def command(raised: BaseException | None = None, ended: Exit = Exit.OK) -> Command:
    """A command that says how it was called."""

    async def run(given: Namespace, output: Output) -> Exit:
        if raised is not None:
            raise raised
        output.json({"name": given.name})
        output.line(("name", "bold"), f" {given.name}")
        return ended

    def arguments(parser: ArgumentParser) -> None:
        parser.add_argument("--name", default="none")

    return Command("try", "Says its name.", arguments, run)


ENDS = (
    (["try"], None, Exit.OK),
    ([], None, Exit.USAGE),
    (["unknown"], None, Exit.USAGE),
    (["try", "--nam", "x"], None, Exit.USAGE),
    (["--help"], None, Exit.OK),
    (["try", "--name", "\udcff"], None, Exit.USAGE),
    (["try", "--help"], None, Exit.OK),
    (["--version"], None, Exit.OK),
    (["try"], CommandError(Exit.UNREACHABLE, "away"), Exit.UNREACHABLE),
    (["try"], ConfigError("wrong"), Exit.USAGE),
    (["try"], KeyboardInterrupt(), Exit.INTERRUPTED),
)


@pytest.mark.parametrize(("arguments", "raised", "code"), ENDS)
def test_how_it_ends(arguments: list[str], raised: BaseException | None, code: Exit) -> None:
    """Each way to end has its code."""
    assert main(arguments, (command(raised),)) == code


@pytest.mark.parametrize("ended", list(Exit))
def test_the_code_of_a_command_is_the_program_s(ended: Exit) -> None:
    """Whatever a command returns."""
    assert main(["try"], (command(ended=ended),)) == ended


@pytest.mark.parametrize(
    "arguments", [["--json", "try", "--name", "x"], ["try", "--json", "--name", "x"]]
)
def test_json_is_one_object_and_nothing_else(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The option stands before or after the command's name."""
    main(arguments, (command(),))

    assert json.loads(capsys.readouterr().out) == {"name": "x"}


def test_an_error_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, so that results can be read by programs."""
    error = CommandError(Exit.NOT_ALLOWED, "no \x1b[2Jtoken", "set one")
    main(["try", "--json"], (command(error),))

    written = capsys.readouterr()
    assert written.err == "asgi-multitier: no \\x1b[2Jtoken\n  set one\n"
    assert json.loads(written.out) == {"error": "no \x1b[2Jtoken", "remedy": "set one", "exit": 4}


def test_a_failure_of_its_own_is_not_hidden() -> None:
    """Of a command that has asked nothing, such as that of an application that it imports."""
    with pytest.raises(KeyError):
        main(["try"], (command(KeyError("own")),))


def test_characters_that_a_stream_does_not_have() -> None:
    """They are escaped: a tag cannot end the program."""
    out = TextIOWrapper(BytesIO(), encoding="latin-1", write_through=True)
    err = TextIOWrapper(BytesIO(), encoding="ascii", write_through=True)
    output = Output(out, err, as_json=False, color=False)
    output.line("größe 東")
    output.table(("東",), [("ö",)])
    output.note("größe")

    assert out.buffer.getvalue() == "größe \\u6771\n\\u6771\nö\n".encode("latin-1")
    assert err.buffer.getvalue() == b"gr\\xf6\\xdfe\n"


class Terminal(StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


COLORS = (
    (Terminal(), {}, True),
    (StringIO(), {}, False),
    (Terminal(), {"NO_COLOR": "1"}, False),
    (Terminal(), {"NO_COLOR": ""}, True),
    (Terminal(), {"TERM": "dumb"}, False),
)


@pytest.mark.parametrize(("stream", "environ", "wanted"), COLORS)
def test_colours_are_for_terminals(stream: StringIO, environ: dict[str, str], wanted: bool) -> None:
    """And NO_COLOR counts if it is not empty."""
    assert wants_color(stream, environ) is wanted


@pytest.mark.parametrize(("options", "styled"), [([], True), (["--no-color"], False)])
def test_no_color(options: list[str], styled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option takes colours from a terminal."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    main(["try", *options], (command(),))

    assert terminal.getvalue() == ("\x1b[1mname\x1b[0m none\n" if styled else "name none\n")


PRINTABLE = (
    ("plain /a?b=1", "plain /a?b=1"),
    ("größe 東京", "größe 東京"),
    ("\x1b[31mred\r\n", "\\x1b[31mred\\r\\n"),
    ("\x9b31m", "\\x9b31m"),
    ("right‮left", "right\\u202eleft"),
    ("\ud800", "\\ud800"),
)


@pytest.mark.parametrize(("text", "shown"), PRINTABLE)
def test_what_clients_sent_cannot_steer_the_terminal(text: str, shown: str) -> None:
    """Escape sequences are shown, not obeyed."""
    assert printable(text) == shown


def test_all_that_is_written_is_printable() -> None:
    """Lines, styled parts, tables and messages."""
    out, err = StringIO(), StringIO()
    output = Output(out, err, as_json=False, color=False)
    output.line("a\x1b[2J", ("b\x1b[2J", "red"))
    output.table(("HEAD",), [("c\x1b[2J",)])
    output.note("d\x1b[2J")

    assert "\x1b" not in out.getvalue() + err.getvalue()
    assert (out.getvalue() + err.getvalue()).count("\\x1b[2J") == 4


def test_a_table() -> None:
    """Numbers stand to the right; what is missing is a dash."""
    out = StringIO()
    Output(out, StringIO(), as_json=False, color=False).table(
        ("ROUTE", "REQ/S", "WHY"), [("/a/{id}", 1200, "x"), ("/b", None, "")]
    )

    assert out.getvalue() == ("ROUTE    REQ/S  WHY\n/a/{id}  1,200  x\n/b           -\n")


def test_the_reader_may_end_first() -> None:
    """`asgi-multitier ... | head` ends without a traceback."""
    script = (
        "from tests.cli.test_main import command\n"
        "from asgi_multitier.cli.main import main\n"
        "import sys\n"
        "sys.stdin.read()\n"
        "sys.exit(main(['try'], (command(),)))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(b"")

    assert (process.returncode, errors) == (Exit.PIPE, b"")


def test_as_a_module() -> None:
    """`python -m asgi_multitier` is the same program."""
    ended = subprocess.run(
        [sys.executable, "-m", "asgi_multitier", "--version"], capture_output=True, text=True
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_it_is_installed_by_its_name() -> None:
    """Under the name that the help shows."""
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    script = pyproject["project"]["scripts"]["asgi-multitier"]

    assert EntryPoint("asgi-multitier", script, "console_scripts").load() is main


def test_importing_the_package_does_not_import_the_program() -> None:
    """Applications do not pay for it."""
    script = "import sys, asgi_multitier; print('asgi_multitier.cli' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert ended.stdout == "False\n"
