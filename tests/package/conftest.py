"""One release for all tests of this folder: the sdist, and the wheel that is built from it."""

import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.package.support import ROOT, build


class Release(NamedTuple):
    """A release.

    Attributes:
        sdist: The archive of sources.
        unpacked: Its content.
        wheel: What was built from that.
        installed: The content of the wheel.
    """

    sdist: Path
    unpacked: Path
    wheel: Path
    installed: Path


@pytest.fixture(scope="package")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The sdist of this tree, and the wheel that is built from it, as a registry's users do."""
    directory = tmp_path_factory.mktemp("release")
    sdist = build(ROOT, "sdist", directory / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(directory / "sources", filter="data")
    (unpacked,) = (directory / "sources").iterdir()
    wheel = build(unpacked, "wheel", directory / "wheel")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "installed")
    return Release(sdist, unpacked, wheel, directory / "installed")
