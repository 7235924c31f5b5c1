"""The embedded server, and the ports of all parts."""

import pytest

from demo_app import valkey
from demo_app.ports import address_of, listen
from demo_app.valkey import Valkey, answers_ping

pytestmark = pytest.mark.no_cover  # the package has no part in it


def test_taken_port_is_refused() -> None:
    """A required port that is taken is an error."""
    with listen(0) as taken, pytest.raises(OSError):
        listen(taken.getsockname()[1])


def test_taken_port_gives_way_to_a_free_one() -> None:
    """A preferred port that is taken is replaced by a free one."""
    with listen(0) as taken, listen(taken.getsockname()[1], or_any=True) as other:
        assert address_of(taken) != address_of(other)


def test_server_answers_inside_the_block_only() -> None:
    """It runs from the beginning to the end of the block."""
    with Valkey() as server:
        assert answers_ping(server.port)

    assert not answers_ping(server.port)


def test_server_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the port, and no process remains."""
    monkeypatch.setattr(valkey, "_binary", lambda: "false")
    server = Valkey()

    with pytest.raises(RuntimeError, match=f"did not start on port {server.port}"), server:
        raise AssertionError("the block was entered")
