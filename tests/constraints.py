"""Writes constraints.txt: an exact version of each package of the development environment.

    python -m tests.constraints

Nothing is installed: pip resolves what pyproject.toml names, as new as it allows, for the Python
and the platform that run this.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FILE = ROOT / "constraints.txt"

_HEAD = """\
# Versions that the tests ran with, made by `make constraints`. To have the same environment:
# PIP_CONSTRAINT=constraints.txt make test
"""


def resolved() -> list[dict[str, Any]]:
    """What pip would install for development, as in its report."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    wanted = ["--report", "-", "--editable", ".", "--group", "dev"]
    done = subprocess.run([*pip, *wanted], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return found


def main() -> None:
    """Write the file."""
    packages = (one["metadata"] for one in resolved() if not one["download_info"].get("dir_info"))
    lines = sorted(f"{canonicalize_name(one['name'])}=={one['version']}\n" for one in packages)
    FILE.write_text(_HEAD + "".join(lines))


if __name__ == "__main__":
    main()
