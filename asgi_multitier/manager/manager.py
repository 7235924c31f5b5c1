"""CacheManager: the cache of a process, for the middleware and for use by hand."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, ParamSpec, TypeVar, Unpack

from ..admin import switching
from ..admin.inside import Inside
from ..config.values import ComputeOptions
from ..errors import ConfigError
from ..routing import RouteTable
from ..strategy import CacheStrategy, Lifetime
from .functions import CachedFunction
from .identity.loading import caches_of, load
from .operations import Operations
from .sync import SyncCache

if TYPE_CHECKING:
    from ..admin.application import AdminApplication
    from ..admin.rights import Authorize

P = ParamSpec("P")
T = TypeVar("T")


class CacheManager(Operations):
    """The cache of one process: tiers, flights and the invalidation log.

    Making one starts nothing. Use it as `async with CacheManager() as cache`, or let the
    middleware start and close it.

    Args:
        l1: The tier in this process; None for a `MemoryTier` with the configured bounds.
        l2: The tier below; None for Redis at `redis_url`, or the file.
        tiers: All tiers with their places, instead of `l1` and `l2`.
        log: The invalidation log; None for one on Redis or in the file, or a local one without.
        redis: A client of redis-py's asyncio kind, instead of an address. In tests, a
            `FakeAsyncRedis` or `FakeServer` of fakeredis.
        sqlite: A file, instead of Redis: L2 and the log for all workers of one machine.
        streams: Streams of your own; None for those on Redis.
        serializer: How values become bytes.
        invalidation: Settings of the log.
        compress_over: Bytes from which what goes to shared tiers is compressed; None for never.
            Needs the extra `compression`.
        config: All bounds, instead of reading them from the environment.
        clock: Monotonic seconds.
        wall: Unix seconds.
        **settings: Attributes of `CacheConfig`, stronger than environment and `.env`.

    Raises:
        ConfigError: If a setting is wrong, or two contradict.
    """

    _made_sync: SyncCache | None = None

    def cached(
        self,
        key: str,
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[ComputeOptions],
    ) -> Callable[[Callable[P, Awaitable[T]]], "CachedFunction[P, T]"]:
        """A decorator for async functions whose results are cached. See `CachedFunction`.

        Args:
            key: A template over the function's parameters, such as `"user:{id}"`.
            strategy: How long a result is fresh.
            tags: Templates of tags.
            **options: See `ComputeOptions`.

        Raises:
            ConfigError: If the function is not async, a template does not fit its parameters, or
                an option is not allowed.
        """

        _check_template(key)

        def decorate(function: Callable[P, Awaitable[T]]) -> CachedFunction[P, T]:
            return CachedFunction(self, function, key, strategy, tags, options)

        return decorate

    def admin(
        self,
        token: str | None = None,
        viewer_token: str | None = None,
        hosts: Iterable[str] | None = None,
        authorize: "Authorize | None" = None,
        *,
        redact: bool = True,
        read_only: bool = False,
    ) -> "AdminApplication":
        """An ASGI application for operators: `app.mount("/_cache", cache.admin(token=...))`.

        It lists what this process holds, tells what happens, and drops entries by hand, in JSON.
        Without a token and without `authorize` every answer is 404.

        Args:
            token: What an operator sends as `Authorization: Bearer ...`, of at least 32 characters;
                None for `CacheConfig.admin_token`.
            viewer_token: The same for a viewer, who may change nothing; None for none.
            hosts: Names that `Host` may have, besides `localhost` and loopback addresses. None:
                with a token any, with `authorize` these alone.
            authorize: Says of a scope without a token whether it is a `"viewer"`, an `"operator"`
                or neither (None); sync or async.
            redact: Whether paths, names and values of tags are shown only to operators who want
                that (`reveal=1`); keys never are.
            read_only: Whether nothing can be changed here.

        Raises:
            ConfigError: If a token is too short, both are the same, or another argument is wrong.
        """
        from ..admin.application import AdminApplication  # for those caches alone that have one

        operator = self.config.admin_token if token is None else token
        return AdminApplication(
            self,
            operator,
            viewer_token,
            hosts,
            authorize,
            redact=redact,
            read_only=read_only,
        )

    def document(
        self, app: object, *, not_modified: bool = True, if_none_match: bool = False
    ) -> None:
        """Let the OpenAPI document of a FastAPI application tell what is cached and what drops it.

        Cached operations get `x-cache`, a response 304 and the fields `ETag`, `Cache-Status` and
        `Age`; operations with `@invalidates` get `x-cache-invalidates`. Nothing else changes:
        `app.openapi` is replaced, as FastAPI's own documentation proposes, and what it returned is
        copied. Documents of FastAPI applications that are mounted by now are included.

        Args:
            app: The application, or a layer around it. The `CacheMiddleware` may come later.
            not_modified: Whether cached operations have a response 304.
            if_none_match: Whether they have the parameter `If-None-Match`, which generated clients
                then have as an argument.

        Raises:
            ConfigError: If there is no application with an OpenAPI document.
        """
        from .documenting import document  # for those caches alone that are documented

        document(app, self.tables, not_modified=not_modified, if_none_match=if_none_match)

    def _begun(self) -> None:
        super()._begun()
        Inside(self).answer_workers()
        switching.answer_workers(self)

    @property
    def sync(self) -> SyncCache:
        """The same cache for code that cannot await: sync endpoints, threads, scripts."""
        if self._made_sync is None:
            self._made_sync = SyncCache(self)
        return self._made_sync

    @classmethod
    def of(cls, target: str) -> "CacheManager":
        """The manager of an application, for another program that drops its entries.

        Nothing is opened yet: use it as any other manager, by `async with`.

        Args:
            target: The application, as `"module:attribute"`.

        Raises:
            ConfigError: If it cannot be imported, has no `CacheMiddleware`, or no name.
        """
        app = load(target)
        for found in caches_of(app):
            manager = found if found is not None else cls()
            if isinstance(manager, cls):
                manager.name_after(app, RouteTable(app))
                return manager
        allowed = "an application with a CacheMiddleware"
        raise ConfigError.of("target", target, allowed, where="CacheManager.of")


def _check_template(key: object) -> None:
    """Refuse `@cache.cached` without parentheses, where the function stands in the key's place."""
    if not isinstance(key, str):
        allowed = "a template, such as @cache.cached('user:{id}')"
        raise ConfigError.of("key", key, allowed, where="CacheManager.cached")
