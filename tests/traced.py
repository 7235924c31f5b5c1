"""Which tests run under the tracer that measures coverage.

It makes all that runs under it two to three times slower. So of tables it watches the first cases
only, fewer where they need an event loop, and no test that draws its examples by chance or says
`no_cover`: what those reach is reached by tests that name it. What is reported is therefore never
more than what the suite covers.
"""

import inspect
from collections import Counter
from typing import Any

import pytest

CASES = 3
PLAIN_CASES = 25
"""Of each table so many cases, the first ones, are watched: of coroutines, and of others."""


class Tracing:
    """Switches the tracer of pytest-cov off and on again, for whole tests with their fixtures."""

    def __init__(self, plugin: Any) -> None:
        self._plugin = plugin
        self._seen: Counter[str] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Stop the tracer that pytest-cov starts in a worker of pytest-xdist, as if it were none.

        It lies below the worker's own, and would go on whenever that one is switched off.
        """
        early = self._plugin.cov_controller
        if early is not None and hasattr(session.config, "workerinput"):
            early.pause()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Count the cases of a table."""
        self._seen[nodeid.partition("[")[0]] += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Switch it before anything of the test runs."""
        function = getattr(item, "obj", None)
        watched = CASES if inspect.iscoroutinefunction(function) else PLAIN_CASES
        self._watch(
            self._seen[item.nodeid.partition("[")[0]] <= watched
            and item.get_closest_marker("no_cover") is None
            and not getattr(function, "is_hypothesis_test", False)
        )

    def _watch(self, wanted: bool) -> None:
        controller = self._plugin.cov_controller
        # It is switched on again by pytest-cov itself after a test that says `no_cover`.
        if controller is not None and wanted is not controller.started:
            (controller.resume if wanted else controller.pause)()
