"""The built site loads nothing from another host: scripts, styles and pictures are its own."""

import re
from collections.abc import Iterator
from pathlib import Path

MERMAID = "assets/javascripts/mermaid.min.js"
"""Where the library of the pictures lies in the site."""

_BUNDLED = (
    # The theme asks a public host for mermaid where a page has a picture; the scope is the site's.
    (
        '"https://unpkg.com/mermaid@11/dist/mermaid.min.js"',
        f'new URL("{MERMAID}",__md_scope).href',
    ),
    # Every browser that can show the theme has this class, so it is never loaded.
    ('"https://unpkg.com/resize-observer-polyfill"', '""'),
)

_LOADED = {
    ".html": re.compile(
        r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|data)=[\"']?"
        r"(?P<url>(?:https?:)?//[^\"'\s>]+)"
        r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload|icon|dns-prefetch))"
        r"[^>]*?\bhref=[\"']?(?P<link>(?:https?:)?//[^\"'\s>]+)"
    ),
    ".css": re.compile(r"(?:url\(|@import )\s*[\"']?(?P<url>(?:https?:)?//[^\"'\s)]+)"),
    ".js": re.compile(
        r"(?P<url>https?://(?:unpkg\.com|[\w.]*jsdelivr\.net|cdnjs\.cloudflare\.com"
        r"|fonts\.\w+\.com)/[^\"'\s)]*)"
    ),
}


def bundle(site: Path, mermaid: Path) -> None:
    """Put the library of the pictures into the site, and let the theme load it from there.

    Raises:
        ValueError: If the theme's script does not load it as it did.
    """
    (site / MERMAID).write_bytes(mermaid.read_bytes())
    (script,) = (site / "assets" / "javascripts").glob("bundle.*.min.js")
    text = script.read_text()
    for theirs, ours in _BUNDLED:
        if theirs not in text:
            raise ValueError(f"{script.name} does not load {theirs} any more: see website/offline")
        text = text.replace(theirs, ours)
    script.write_text(text)


def from_elsewhere(site: Path) -> Iterator[str]:
    """What the site would load from another host: the file and the address."""
    for path in sorted(site.rglob("*")):
        pattern = _LOADED.get(path.suffix)
        if pattern is None or path == site / MERMAID:  # it names hosts that it does not ask
            continue
        for found in pattern.finditer(path.read_text()):
            yield f"{path.relative_to(site)}: {found['url'] or found.groupdict().get('link')}"
