"""Links out of `docs/`: on GitHub they name a file, on the site its address in the repository.

A page writes `[benchmarks](../../benchmarks/README.md)`; the site has the repository's address.
"""

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

_LINK = re.compile(r"(?P<open>\]\()(?P<target>\.\./[^)#\s]*)(?P<anchor>#[^)\s]*)?(?P<close>\))")
_ON_GITHUB = re.compile(r"^\*On GitHub .*\*\n\n?", re.MULTILINE)
_FENCE = re.compile(r"^ *(```|~~~)")


def for_the_site(markdown: str) -> str:
    """The page without what it tells a reader on GitHub, where docstrings are not shown."""
    return _ON_GITHUB.sub("", markdown)


class OutsideError(Exception):
    """A link out of `docs/` names nothing in the repository."""


def outside(markdown: str, page: str, repository: str) -> str:
    """The page with addresses of the repository in place of paths out of `docs/`.

    Args:
        markdown: The page's text.
        page: Its path below `docs/`, with slashes.
        repository: Address of the repository, without a slash at its end.

    Raises:
        OutsideError: If a link names what the repository does not have.
    """
    folder = posixpath.join("docs", posixpath.dirname(page))
    inside = False
    lines = []
    for line in markdown.split("\n"):
        if _FENCE.match(line):
            inside = not inside
        lines.append(
            line
            if inside
            else _LINK.sub(lambda link: _address(link, folder, page, repository), line)
        )
    return "\n".join(lines)


def _address(link: re.Match[str], folder: str, page: str, repository: str) -> str:
    path = posixpath.normpath(posixpath.join(folder, link["target"]))
    if path.startswith("docs/") or path == "docs":
        return link[0]
    if path.startswith("..") or not (ROOT / path).exists():
        raise OutsideError(f"docs/{page}: the repository has no {path}")
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{link['open']}{repository}/{kind}/main/{path}{link['anchor'] or ''}{link['close']}"
