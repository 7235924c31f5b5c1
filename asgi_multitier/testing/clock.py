"""A clock that tests control."""


class FakeClock:
    """A clock for `clock=` arguments that changes only by `advance`.

    Args:
        now: The initial time in seconds.
    """

    __slots__ = ("now",)

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.now += seconds

    def __repr__(self) -> str:
        return f"<FakeClock at {self.now:g}>"
