"""A page of the documentation as what its reader does: files to save, commands to type, outputs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>.+?)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"^# ([\w.-]+)$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: The word behind the fence.
        title: Where a command is typed, such as `"Terminal 1"`.
        text: What is in it.
        shown: The output below a command: the `text` block that comes next, if nothing but blank
            lines is between them.
        heading: The heading that it stands under.
    """

    language: str
    title: str
    text: str
    shown: str
    heading: str

    @property
    def name(self) -> str:
        """The file that the block is to be saved as; empty if it is none."""
        found = _NAME.match(self.text.partition("\n")[0])
        return found[1] if found else ""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page in order.

    Args:
        page: Its path in `docs/`.
    """
    text = (DOCS / page).read_text()
    found = list(_BLOCK.finditer(text))
    for place, one in enumerate(found):
        following = found[place + 1] if place + 1 < len(found) else None
        is_shown = (
            following is not None
            and following["language"] == "text"
            and not text[one.end() : following.start()].strip()
        )
        headings = re.findall(r"^#+ (.+)$", _without_blocks(text[: one.start()]), re.MULTILINE)
        yield Block(
            one["language"],
            one["title"] or "",
            one["text"],
            following["text"] if following is not None and is_shown else "",
            headings[-1] if headings else "",
        )


def files(page: str) -> dict[str, str]:
    """The files of a page by their names; of those that are shown twice, the last."""
    return {one.name: one.text for one in blocks(page) if one.name}


def shown_alone(page: str) -> list[str]:
    """The outputs that stand below no command: what is seen in place of the usual."""
    every = list(blocks(page))
    below = {one.shown for one in every if one.language == "sh"}
    return [one.text for one in every if one.language == "text" and one.text not in below]


def _without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
