"""The log of one process."""

import pytest

from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.coherence.log import Update
from asgi_multitier.config.invalidation import InvalidationConfig
from asgi_multitier.entry import Born
from asgi_multitier.errors import ConfigError
from asgi_multitier.selectors import Selector
from tests.coherence.test_follower import Listener
from tests.support import pass_time

TAG = Selector("tag", "t")


async def started() -> tuple[LocalLog, Listener]:
    log, listener = LocalLog(), Listener()
    await log.start(listener)
    return log, listener


async def test_an_invalidation_is_in_force_and_applied_at_once() -> None:
    """Nothing is pending: there is nobody to wait for."""
    log, listener = await started()
    before = log.index.born()
    operation = log.begin([TAG])
    position = await log.commit(operation)

    assert not log.index.permits_fill(before, "k", "", "", "", ("t",))
    assert log.index.permits_fill(log.index.born(), "k", "", "", "", ("t",))
    assert log.index.pending_count == 0
    assert position == Born(log.index.gen, 1)
    assert await log.reached(position, 0.0)
    assert not await log.reached(Born("other", 1), 0.0)
    assert listener.told == []
    await log.close()


async def test_it_is_always_trusted_and_counts() -> None:
    """Statistics add up as those of any log."""
    log, _ = await started()
    log.begin([TAG, Selector("path", "/x")])
    log.begin((), [Update("k", b"v", 1.0)])
    stats = log.stats()

    assert log.trusted
    assert (stats.sent, stats.received, stats.echoed) == (2, 2, 2)
    assert stats.applied == {"tag": 1, "path": 1, "update": 1}
    assert stats.queued == 0
    assert "LocalLog" in repr(log)


async def test_a_long_list_becomes_everything_and_is_applied() -> None:
    """More selectors than may be pending drop all; nothing is left waiting."""
    log, _ = await started()
    log.begin([Selector("tag", str(i)) for i in range(10_001)])

    assert log.index.pending_count == 0
    assert log.stats().overflows == 1
    assert log.stats().queued == 0


async def test_settling_ends_by_the_event_loop() -> None:
    """After the time stated fills are kept again."""
    log, _ = await started()
    log.begin([TAG], settle=60)

    assert not log.index.permits_fill(log.index.born(), "k", "", "", "", ("t",))

    await pass_time(61)

    assert log.index.permits_fill(log.index.born(), "k", "", "", "", ("t",))


def test_the_settings_have_the_documented_defaults() -> None:
    """Names and lengths as documented."""
    config = InvalidationConfig()

    assert config.channel == "cache:invalidate"
    assert config.auto_broadcast_on_write is False
    assert config.enable_audit_stream is False
    assert config.audit_stream == "cache:invalidations"
    assert config.audit_stream_maxlen == 10_000


@pytest.mark.parametrize(
    "settings",
    [
        {"channel": ""},
        {"channel": "a b"},
        {"channel": 1},
        {"audit_stream": "\u00e9"},
        {"audit_stream_maxlen": 0},
        {"maxlen": 99},
        {"maxlen": True},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    """A ConfigError that names the option."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        InvalidationConfig(**settings)  # type: ignore[arg-type]
