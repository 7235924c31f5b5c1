"""The served shops."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.compat.expectations")

from tests.compat.sites import Sites  # noqa: E402
from tests.servers import ValkeyServer  # noqa: E402


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, valkey: ValkeyServer) -> Iterator[Sites]:
    """Shops over one server; the last one ends with the file."""
    made = Sites(tmp_path_factory.mktemp("c"), valkey.url)
    yield made
    made.close()
