"""What a cache tells other instances of itself, and what it knows of them."""

from ..entry import Born
from ..instances.fleet import Fleet
from ..instances.heart import Heart
from ..instances.roster import Roster
from ..instances.seen import Seen
from ..strategy import Lifetime, seconds_of
from .home import at_home
from .lifecycle import Lifecycle


class Instances(Lifecycle):
    """All instances of the application. See `CacheManager`."""

    _made_heart: Heart | None = None

    @property
    def _heart(self) -> Heart:
        """What this instance tells."""
        if self._made_heart is None:
            self._made_heart = Heart(self)
            self.on_close(self._made_heart.end)
            self.on_renewal(self._made_heart.reset)
        return self._made_heart

    def _begun(self) -> None:
        super()._begun()
        if self.config.heartbeat:
            self._heart.begin()

    @property
    def application(self) -> str:
        """The application's own name; "" if it has none, or is not known."""
        return self._name.application

    @at_home
    async def instances(self) -> Fleet:
        """All instances that share this one's log, as each has told in the last seconds.

        Each tells of itself every five seconds over the server or the file of the log; without
        either, or if it does not answer, this process alone is shown. Where the cache is off,
        nothing is opened for that.
        """
        if self.mode == "on":
            await self.start()
        return await Roster(self, self._heart).read()

    @at_home
    async def seen(self, position: Born | None = None, wait: Lifetime = 2.0) -> Seen:
        """Which instances have read the log up to a position: an invalidation is in force there.

        Asks all of them, by a record in the log that drops nothing, and returns as soon as all have
        answered. An instance with `heartbeat=False`, or of a release without it, is not counted.

        Args:
            position: The position; None for all that this process has written so far.
            wait: Seconds to wait at most.

        Raises:
            ConfigError: If `wait` is no number of seconds.
        """
        seconds = seconds_of(wait, option="wait", where="CacheManager.seen", zero=True)
        await self.start()
        return await Roster(self, self._heart).seen(position, seconds)
