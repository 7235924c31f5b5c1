"""Extras: each stands for one thing, and what needs one says which."""

import subprocess
import sys
import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement

from tests.package.support import ROOT

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
CACHE = "CacheManager(redis_url=None, namespace='extras')"

NEEDED = {
    "compression": [
        ("zstandard", f"{CACHE[:-1]}, compress_over=0)"),
        ("zstandard", "Policy(60, compress=True)"),
        ("brotli", "Policy(60, compress='br')"),
    ],
    "memcached": [
        ("memcachio", "MemcachedTier('memcached://127.0.0.1:11211', namespace='extras')")
    ],
    "prometheus": [("prometheus_client", f"{CACHE}.metrics.register()")],
    "otel": [
        ("opentelemetry", f"{CACHE}.instrument(traces=False)"),
        ("opentelemetry", f"{CACHE}.instrument(metrics=False)"),
    ],
}
"""What is tried without a module, by the extra that has it."""

NAMES = """
from asgi_multitier import CacheManager, ConfigError, Policy
from asgi_multitier.tiers.memcached import MemcachedTier
"""


@pytest.mark.parametrize(
    ("extra", "module", "tried"),
    [(extra, *case) for extra, cases in NEEDED.items() for case in cases],
)
def test_what_is_not_installed_is_named_with_its_extra(extra: str, module: str, tried: str) -> None:
    """Without the module, the error says what to install; with it, there is none."""
    program = (
        f"{NAMES}\nimport sys\n"
        "if sys.argv[1]: sys.modules[sys.argv[1]] = None\n"
        f"try: {tried}\nexcept ConfigError as error: print(error)\n"
    )

    def run(absent: str) -> str:
        command = [sys.executable, "-c", program, absent]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert f"asgi-multitier[{extra}]" in run(module)
    assert run("") == ""


def test_everything_but_what_is_for_tests_is_all() -> None:
    """`all` names the other extras; each names what is installed here."""
    (whole,) = map(Requirement, EXTRAS["all"])

    assert whole.extras == EXTRAS.keys() - {"all", "testing"}
    for extra, texts in EXTRAS.items():
        for one in map(Requirement, texts):
            if extra != "all":
                assert one.specifier.contains(version(one.name), prereleases=True)
