"""What `make compat` would do, as far as it can be known without doing it."""

from packaging.version import Version

from tests.compat.environments import TOOLS, bounds
from tests.compat.serving import SERVERS


def test_each_tool_and_server_has_an_oldest_version() -> None:
    """An environment is made with these bounds, and the oldest server is tried."""
    servers = {server.packages[0] for server in SERVERS.values()}
    for name in {*TOOLS, *servers}:
        found = [each for each in bounds()[name].specifier if each.operator == ">="]
        assert [Version(each.version) for each in found], name
