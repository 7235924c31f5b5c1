"""The streams that carry invalidations to other processes: their names and lengths."""

from dataclasses import dataclass

from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class InvalidationConfig:
    """Settings of the invalidation log.

    Attributes:
        channel: Name of the log's stream; the namespace is put before it.
        auto_broadcast_on_write: Whether every `set` of the manager sends its value to the other
            nodes, as `broadcast=True` does.
        enable_audit_stream: Whether invalidations are also written to a second stream, as readable
            text.
        audit_stream: Name of that stream; the namespace is put before it.
        audit_stream_maxlen: About how many entries the audit stream keeps, from 1.
        maxlen: About how many records the log keeps, from 100: how far a node may fall behind, or
            an entry of a shared tier grow old, before it counts as lost.

    Raises:
        ConfigError: If a name is empty or not printable ASCII, or a length out of range.
    """

    channel: str = "cache:invalidate"
    auto_broadcast_on_write: bool = False
    enable_audit_stream: bool = False
    audit_stream: str = "cache:invalidations"
    audit_stream_maxlen: int = 10_000
    maxlen: int = 100_000

    def __post_init__(self) -> None:
        where = "InvalidationConfig"
        for option in ("channel", "audit_stream"):
            name = getattr(self, option)
            if not isinstance(name, str) or not _is_name(name):
                allowed = "1 to 128 printable ASCII characters without spaces"
                raise ConfigError.of(option, name, allowed, where=where)
        for option, least in (("audit_stream_maxlen", 1), ("maxlen", 100)):
            length = getattr(self, option)
            if isinstance(length, bool) or not isinstance(length, int) or length < least:
                raise ConfigError.of(option, length, f"a whole number from {least}", where=where)


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 128 and name.isascii() and name.isprintable() and " " not in name
