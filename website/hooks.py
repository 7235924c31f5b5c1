"""What mkdocs calls while it builds the site."""

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parents[1]))  # mkdocs loads this file alone

from website.links import OutsideError, for_the_site, outside
from website.offline import bundle, from_elsewhere


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Links out of `docs/` become addresses of the repository.

    Raises:
        PluginError: If one names nothing there.
    """
    try:
        return outside(for_the_site(markdown), page.file.src_uri, str(config.repo_url).rstrip("/"))
    except OutsideError as error:
        raise PluginError(str(error)) from error


def on_post_build(*, config: MkDocsConfig, **_: Any) -> None:
    """The pictures' library is put into the site, which then loads nothing from elsewhere.

    Raises:
        PluginError: If it would.
    """
    import mermaidx

    site = Path(config.site_dir)
    bundle(site, Path(mermaidx.__file__).parent / "assets" / "mermaid.js")
    if loaded := list(from_elsewhere(site)):
        raise PluginError("loaded from another host: " + "; ".join(loaded))
