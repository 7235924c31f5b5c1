"""The Python code of the guides as a type checker sees it: one run over all pages.

The blocks of a page build on each other, so each page is one module, as where the code is run.
"""

import re
from pathlib import Path

import pytest
from mypy import api

from tests.docs.pages import DOCS, GUIDES, ROOT

pytestmark = pytest.mark.no_cover  # the code of the package does not run

SHORT = ("no-untyped-def", "no-untyped-call", "type-arg", "var-annotated")
"""What is left out for brevity: annotations of the helpers of an example."""

AS_RUN = ("top-level-await",)
"""The code is for `python -m asyncio`."""

REFUSED = {
    # They show a mistake, and what is said of it.
    "guides/development": {"call-arg"},
    "reference/strategies": {"call-arg"},
    # They look at what may be None, and is none of it in the example.
    "guides/explain": {"union-attr"},
    "guides/tracing": {"index", "misc", "operator", "union-attr"},
    # What a security scheme gives is an object there.
    "concepts/guarded": {"attr-defined"},
    "guides/authentication": {"attr-defined", "misc"},
    # Names are used twice, before and after a change; an application is wrapped under its name.
    "guides/migration": {"assignment", "attr-defined", "no-redef"},
    # JSON of a response is Any, and so is what follows from a list without a type.
    "guides/admin": {"no-any-return"},
    "guides/manual-cache": {"has-type"},
    # Types of other frameworks for ASGI, which differ from those of Starlette.
    "guides/frameworks": {"arg-type", "assignment", "method-assign", "misc", "no-redef"},
}
"""Pages that a checker cannot wholly accept: the codes of what it says there, and why."""


def code_of(page: Path) -> str:
    """The Python code of a page, at its lines."""
    lines, inside = [], False
    for line in page.read_text().splitlines():
        fence = line.startswith("```")
        inside = line == "```python" if fence else inside
        lines.append(line if inside and not fence else "")
    return "\n".join(lines)


@pytest.mark.timeout(300)
def test_the_code_of_the_guides_has_the_types_that_it_says(tmp_path: Path) -> None:
    """A checker refuses what is listed, and nothing else; what is listed is still refused."""
    pages: dict[str, str] = {}
    for page in (ROOT / "README.md", *GUIDES):
        if (code := code_of(page)).strip():
            name = str(page.relative_to(DOCS if DOCS in page.parents else ROOT).with_suffix(""))
            module = f"guide_{len(pages)}.py"
            pages[module] = name
            (tmp_path / module).write_text(f"{code}\n")
    options = (f"--disable-error-code={code}" for code in (*SHORT, *AS_RUN))
    config = ("--config-file", str(ROOT / "pyproject.toml"), "--strict", "--hide-error-context")
    out, problems, _ = api.run([*config, *options, *map(str, tmp_path.glob("*.py"))])
    found: dict[str, set[str]] = {}
    for module, code in re.findall(
        r"^(?:.*/)?(guide_\d+\.py):\d+: error: .*\[([\w-]+)\]$", out, re.MULTILINE
    ):
        found.setdefault(pages[module], set()).add(code)

    assert not problems
    assert len(pages) > 25
    assert found == REFUSED, out
