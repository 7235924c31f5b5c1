"""Every framework on a real server, by one table."""

import pytest

from tests.compat import shop
from tests.compat.expectations import TABLE
from tests.compat.rows import of_frameworks
from tests.compat.sites import Case, Sites, cases, named

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes


@pytest.mark.parametrize("case", cases(of_frameworks()), ids=named)
def test_served(case: Case, sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    """The expectation of that name."""
    framework, server, name = case
    site = sites.site(framework, server)
    monkeypatch.setenv(shop.NOTES, str(sites.notes))

    TABLE[name](site)
