"""What type checkers know of the public names: all of it, without guessing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import asgi_multitier

pytestmark = pytest.mark.no_cover  # what it tests runs in another process

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_the_types_of_all_public_names_are_known(tmp_path: Path) -> None:
    """With their attributes and methods, and what these take and return, class by class.

    Each type is written down or follows in all checkers alike. Types that other packages leave open
    are not counted.
    """
    # The tool finds packages through the interpreter that is first in the path.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    program = (sys.executable, "-m", "basedpyright", "--verifytypes", "asgi_multitier")
    told = subprocess.run(
        [*program, "--ignoreexternal", "--outputjson"],
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,  # it fails for what is not public
    )
    report = json.loads(told.stdout)["typeCompleteness"]
    known = {symbol["name"]: symbol["isTypeKnown"] for symbol in report["symbols"]}
    homes = {f"asgi_multitier.{room}.{name}" for name, room in asgi_multitier._ROOMS.items()}
    public = {f"asgi_multitier.{name}" for name in asgi_multitier.__all__} | homes
    parts = {name for name in known if name.rpartition(".")[0] in homes}

    assert Path(report["packageRootDirectory"]) == ROOT / "asgi_multitier"
    assert report["exportedSymbolCounts"]["withUnknownType"] == 0
    assert len(parts) > len(public)
    assert sorted(name for name in (public | parts) & set(known) if not known[name]) == []
