"""The namespace of a manager: where it comes from, and when entries may be dropped in it.

It is given, or made of the application's own name. A program that knows no application must not
drop entries in a namespace of its own: those of the application that it means would stay.
"""

import logging

from ..coherence.log import InvalidationLog
from ..errors import BackendError, ConfigError
from ..routing import RouteTable
from .backends import Backends
from .identity.application import describe
from .identity.loading import application_of
from .identity.names import local_name, name_of_its_own

logger: logging.Logger = logging.getLogger("asgi_multitier")

_SAYS_NOTHING = (
    "CacheManager: namespace=None is not allowed for title {title!r} and module {module!r}, which "
    "another application may have as well, where a {shared} was given; expected namespace= or "
    "ASGI_MULTITIER_NAMESPACE, a name that no other application there has"
)

_WHOSE = (
    "CacheManager: namespace=None is not allowed where something is to be dropped and no "
    "application is known; expected namespace= or ASGI_MULTITIER_NAMESPACE, or "
    "CacheManager.of('module:app'); the applications seen there are: {seen}"
)

_UNUSED = (
    "no other process has used the namespace %s: an invalidation in it reaches no application with "
    "another name; use CacheManager.of('module:app') to take that application's namespace"
)

_ALONE = (
    "no other process of %s was found: an invalidation here reaches none. Without a server "
    "processes find each other on one machine only, if they run as one user with the same "
    "XDG_RUNTIME_DIR and TMPDIR"
)


class Namespace:
    """The namespace of one manager.

    Args:
        given: The namespace of the settings; None to find one.
        backends: What the manager stands on.

    Attributes:
        text: The namespace; None while it is not known.
        is_named: Whether all workers of the application have the same one.
        table: The application's routes; None while no application is known.
        serves: Whether this process answers an application's requests.
        has_values: Whether the manager has values of its own, apart from an application.
    """

    def __init__(self, given: str | None, backends: Backends) -> None:
        self.text = given
        self.is_named: bool = given is not None
        self.table: RouteTable | None = None
        self.has_values = False
        self._backends = backends
        self.serves = self._has_warned = False
        self._app: object = None
        self._application: str | None = None

    def stand_on(self, backends: Backends) -> None:
        """The manager stands on other back ends from here on."""
        self._backends = backends

    def find(self, manager: object) -> str:
        """The namespace. See `CacheManager.namespace`.

        Args:
            manager: The manager, by which an application of this program is found.

        Raises:
            ConfigError: If that application has no name of its own.
        """
        if self.text is None and (app := application_of(manager)) is not None:
            self.name_after(app, RouteTable(app))
        if self.text is None:
            program, shared = describe(None), self._backends.is_shared
            own = name_of_its_own(program) if shared else None
            self.text = own or local_name(program, machine=shared != "")
        return self.text

    def name_after(self, app: object, table: RouteTable, *, serves: bool = False) -> None:
        """Take the name and the routes of an application. See `CacheManager.name_after`."""
        self.table = table
        self.serves = self.serves or serves
        self._app, self._application = app, None
        if self.text is None:
            self.text = self._name_of(app, table)
            self.is_named = True

    @property
    def application(self) -> str:
        """The application's own name, also where a namespace was given; "" if it has none."""
        if self._application is None and self.table is not None:
            described = describe(self._app, self.table.endpoints)
            self._application = name_of_its_own(described) or ""
        return self._application or ""

    def _name_of(self, app: object, table: RouteTable) -> str:
        application, shared = describe(app, table.endpoints), self._backends.is_shared
        if not shared:
            return local_name(application)
        name = name_of_its_own(application)
        if name is None:
            title, module = application.title, application.module
            raise ConfigError(_SAYS_NOTHING.format(title=title, module=module, shared=shared))
        return name

    async def check(self, manager: object) -> None:
        """Before entries are dropped, check that it is known whose they are.

        A manager with a name, an application or values of its own drops its own entries. Any other
        one belongs to a program that means an application, and has to say which.

        Raises:
            ConfigError: If that is not known, and there are applications that may be meant.
        """
        name = self.find(manager)
        if self.is_named or self.table is not None or self.has_values:
            return
        try:
            seen = ", ".join(sorted(await self._backends.namespaces() - {name}))
        except BackendError as error:
            seen = f"not known: {error}"
        if seen:
            raise ConfigError(_WHOSE.format(seen=seen))

    def warn_if_unused(self, log: InvalidationLog) -> None:
        """Log once that a program has dropped something in a namespace that only it uses."""
        if self.serves or self.has_values or self._has_warned:
            return
        if getattr(log, "is_own", False):
            self._has_warned = True
            logger.warning(_UNUSED if self.table is None else _ALONE, self.text)
