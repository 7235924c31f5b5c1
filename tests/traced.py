"""Which tests run under the tracer that measures coverage.

It makes all that runs under it two to three times slower. So it watches the first cases of each
table, and no test that draws its examples by chance or says `no_cover`: what those reach is reached
by tests that name it. What is reported is therefore never more than what the suite covers.
"""

from collections import Counter
from typing import Any

import pytest

CASES = 2
"""Of each table so many cases, the first ones, are watched."""


class Tracing:
    """Switches the tracer of pytest-cov off and on again, for whole tests with their fixtures."""

    def __init__(self, plugin: Any) -> None:
        self._plugin = plugin
        self._seen: Counter[str] = Counter()
        self._watches = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Count the cases of a table."""
        self._seen[nodeid.partition("[")[0]] += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Switch it before anything of the test runs."""
        self._watch(
            self._seen[item.nodeid.partition("[")[0]] <= CASES
            and item.get_closest_marker("no_cover") is None
            and not getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Hand it over as it was found."""
        self._watch(True)

    def _watch(self, wanted: bool) -> None:
        if wanted is not self._watches and (controller := self._plugin.cov_controller):
            (controller.resume if wanted else controller.pause)()
            self._watches = wanted
