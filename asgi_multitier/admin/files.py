"""The page: files of this package, the same for everyone. They hold no data."""

from collections.abc import Mapping
from pathlib import Path

from .replies import Reply

_KINDS = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}

FOLDER = Path(__file__).parent / "page"


def read_files(folder: Path) -> Mapping[str, Reply]:
    """The answers by path; the page itself stands under `/`. Empty if there is no folder."""
    found = {
        f"/{path.name}": Reply(200, path.read_bytes(), _KINDS[path.suffix])
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.suffix in _KINDS
    }
    if "/index.html" in found:
        found["/"] = found.pop("/index.html")
    return found
