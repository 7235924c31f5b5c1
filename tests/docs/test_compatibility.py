"""The page on compatibility agrees with what `tests/compat` tries."""

from tests.compat.catalogue import FRAMEWORKS, lacking
from tests.compat.environments import bounds
from tests.compat.expectations import TABLE
from tests.compat.serving import SERVERS
from tests.docs.pages import DOCS, rows

PAGE = "reference/compatibility"


def lacks(cell: str) -> dict[str, str]:
    """What does not apply, from a cell: `name: reason; name: reason`."""
    return dict(tuple(each.split(": ", 1)) for each in cell.split("; ") if each)  # type: ignore[misc]


def test_expectations_are_those_of_the_table() -> None:
    """Each row of the page has the name of an expectation, in the same order."""
    assert [row[0] for row in rows(PAGE, "What is expected")] == list(TABLE)


def test_frameworks_are_those_that_are_tried() -> None:
    """With what does not apply to them, and why."""
    listed = {row[0].lower().replace(" behind ", "_"): row for row in rows(PAGE, "Frameworks")}

    assert list(listed) == list(FRAMEWORKS)
    assert {name: lacks(row[-1]) for name, row in listed.items()} == {
        name: lacking(name) for name in FRAMEWORKS
    }


def test_servers_are_those_that_are_tried() -> None:
    """By the names in `tests.compat.serving`, with what does not apply to them."""
    listed = {row[0].strip("`"): row for row in rows(PAGE, "Servers")}

    assert list(listed) == list(SERVERS)
    assert {name: lacks(row[-1]) for name, row in listed.items()} == {
        name: server.lacks for name, server in SERVERS.items()
    }


def test_versions_on_the_page_are_allowed_by_the_project() -> None:
    """A version that was tried lies within what `pyproject.toml` permits."""
    tried = {row[0].lower().split()[0]: row[2] for row in rows(PAGE, "Frameworks")}
    for name, cell in tried.items():
        for version in cell.replace(" to ", ", ").split(", "):
            assert name not in bounds() or version in bounds()[name].specifier, (name, version)


def test_the_page_says_when_it_was_tried() -> None:
    """A date stands before the tables."""
    assert "tried on 20" in (DOCS / f"{PAGE}.md").read_text()
