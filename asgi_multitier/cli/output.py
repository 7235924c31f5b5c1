"""What a command writes: text for people, or JSON for programs; safe for a terminal in both."""

import json
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO

Style = Literal["bold", "dim", "red", "yellow", "green"]

_CODES: Mapping[Style, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "yellow": "33",
    "green": "32",
}

_UNPRINTABLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of characters that may steer a terminal or hide text."""


def printable(text: str) -> str:
    r"""Text without characters that steer a terminal: they become `\x1b` and the like.

    Keys, tags and paths come from clients.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        ascii(one)[1:-1] if unicodedata.category(one) in _UNPRINTABLE else one for one in text
    )


class Output:
    """Writes what a command has to tell.

    Args:
        out: Where results go.
        err: Where messages go.
        as_json: Write JSON only.
        color: Whether text may have colours.
    """

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool, color: bool) -> None:
        self._out, self._err = out, err
        self.as_json = as_json
        self.color = color

    def json(self, value: object) -> None:
        """One object on one line; nothing where text is written.

        Several of them are a stream of newline-delimited JSON.
        """
        if self.as_json:
            self._out.write(json.dumps(value, default=str) + "\n")
            self._out.flush()

    def line(self, *parts: str | tuple[str, Style]) -> None:
        """One line of text, of which parts may have a style; nothing where JSON is written."""
        if not self.as_json:
            self._print("".join(self._part(part) for part in parts).rstrip())
            self._out.flush()

    def _print(self, text: str) -> None:
        self._out.write(_encodable(text, self._out) + "\n")

    def _part(self, part: str | tuple[str, Style]) -> str:
        if isinstance(part, str):
            return printable(part)
        text, style = part
        return self.styled(printable(text), style)

    def styled(self, text: str, style: Style) -> str:
        """The text with a style, where colours are wanted."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.color and text else text

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows below a head; a column whose cells are all numbers or "-" stands to the right."""
        if self.as_json:
            return
        cells = [[printable(_cell(cell)) for cell in row] for row in rows]
        widths = [
            max(len(column[0]), *(len(cell) for cell in column[1:]), 0)
            for column in ((name, *(row[at] for row in cells)) for at, name in enumerate(head))
        ]
        right = [
            bool(cells) and all(_is_number(row[at]) for row in cells) for at in range(len(head))
        ]
        for number, row in enumerate([list(head), *cells]):
            text = "  ".join(
                cell.rjust(width) if to_the_right else cell.ljust(width)
                for cell, width, to_the_right in zip(row, widths, right, strict=True)
            ).rstrip()
            self._print(self.styled(text, "bold") if number == 0 else text)
        self._out.flush()

    def control(self, sequence: str) -> None:
        """A sequence that steers the terminal, where there is one."""
        if self.color and not self.as_json:
            self._out.write(sequence)

    def note(self, text: str) -> None:
        """A message that is no result: to standard error, also where JSON is written."""
        self._err.write(_encodable(printable(text), self._err) + "\n")
        self._err.flush()


def _encodable(text: str, stream: TextIO) -> str:
    """The text as far as the stream's encoding has it; other characters are escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _is_number(cell: str) -> bool:
    return cell == "-" or cell[:1].isdigit() or (cell[:1] == "-" and cell[1:2].isdigit())


def wants_color(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a stream is a terminal that shows colours, and no-color.org's variable is unset."""
    values: Mapping[str, Any] = os.environ if environ is None else environ
    return not values.get("NO_COLOR") and values.get("TERM") != "dumb" and stream.isatty()
