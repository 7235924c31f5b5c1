"""The files of a release: which are in it, and that they work where they are unpacked."""

import os
import re
import subprocess
import sys
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from asgi_multitier import __version__
from asgi_multitier._about import DOCUMENTATION, REPOSITORY
from tests.package.conftest import Release
from tests.package.support import ROOT

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes


def files(directory: Path) -> set[str]:
    """The files below a directory."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix() for path in found}


def metadata(release: Release) -> Message:
    """What the wheel says of itself."""
    (found,) = release.installed.glob("*.dist-info/METADATA")
    return message_from_bytes(found.read_bytes())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no repository to compare with")
def test_the_sdist_is_the_repository(release: Release) -> None:
    """Tests, guides and tools included; hidden files at the top are not."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    known = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    expected = {name for name in known.splitlines() if (ROOT / name).is_file()}
    expected = {name for name in expected if not name.startswith(".")}

    assert files(release.unpacked) == expected | {"PKG-INFO", ".gitignore"}


def test_the_wheel_is_the_package_alone(release: Release) -> None:
    """Its modules, its page, its marker for type checkers, and the plugin of pytest."""
    info = f"asgi_multitier-{__version__}.dist-info"
    found = files(release.installed)
    package = {f"asgi_multitier/{name}" for name in files(ROOT / "asgi_multitier")}
    package = {name for name in package if "__pycache__" not in name}

    about = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    assert found == package | about | {f"{info}/licenses/LICENSE", "pytest_asgi_multitier.py"}
    assert {"asgi_multitier/py.typed", "asgi_multitier/admin/page/index.html"} <= found


def test_the_wheel_says_what_the_package_is(release: Release) -> None:
    """Its version is `__version__`; the addresses are those that the package knows."""
    about = metadata(release)
    addresses = dict(line.split(", ") for line in about.get_all("Project-URL", []))

    assert (about["Name"], about["Version"]) == ("asgi-multitier", __version__)
    assert (addresses["Documentation"], addresses["Source"]) == (DOCUMENTATION, REPOSITORY)
    assert {"Changelog", "Issues"} <= set(addresses)
    assert all(
        address.startswith(REPOSITORY) for address in set(addresses.values()) - {DOCUMENTATION}
    )
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == ">=3.11"


def test_the_registry_s_page_has_no_link_that_leads_nowhere(release: Release) -> None:
    """README is that page, and there are no files next to it: each link is a whole address."""
    about = metadata(release)
    page = about.get_payload()
    assert isinstance(page, str)
    links = re.findall(r"\]\(([^)\s]*)\)", page)
    of_readme = re.findall(r"\]\(([^)\s]*)\)", (ROOT / "README.md").read_text())

    assert about["Description-Content-Type"] == "text/markdown"
    assert len(links) == len(of_readme) > 20
    assert [link for link in links if not link.startswith("https://")] == []
    assert not re.search(r"""(src|href)=["'](?!https:)""", page)
    assert not re.search(r"^\[[^]]+\]: (?!https:)", page, re.MULTILINE)
    for link in links:
        name = link.removeprefix(f"{REPOSITORY}/blob/main/").partition("#")[0]
        assert name.startswith("https://") or (ROOT / name).exists(), link


def test_tests_run_from_the_sdist(release: Release) -> None:
    """The unpacked sources test themselves, and not what else is installed here."""
    some = ["tests/policy/test_ranges.py", "tests/asgi/test_plan.py"]
    options = ["-q", "-p", "no:cacheprovider", "--no-cov"]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = "import asgi_multitier, sys; sys.stdout.write(asgi_multitier.__file__)"

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=release.unpacked, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert Path(run("-c", where)).is_relative_to(release.unpacked)
    assert " passed" in run("-m", "pytest", *options, *some)


def test_commands_of_the_wheel_are_there(release: Release) -> None:
    """The program and the plugin of pytest are registered, and run from the wheel."""
    (points,) = release.installed.glob("*.dist-info/entry_points.txt")
    environ = os.environ | {"PYTHONPATH": str(release.installed)}
    command = [sys.executable, "-m", "asgi_multitier", "--version"]
    done = subprocess.run(
        command, cwd=release.installed, env=environ, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == __version__
    assert "asgi-multitier = asgi_multitier.cli.main:main" in points.read_text()
    assert "[pytest11]\npytest_asgi_multitier = pytest_asgi_multitier" in points.read_text()
