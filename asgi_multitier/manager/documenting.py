"""Finding the cache around an application, for its OpenAPI document."""

from ..config.policy import Policy
from ..config.rules import Rule
from ..openapi import Extent, describe
from ..openapi.wrapping import Given
from ..routing import RouteTable
from .listeners import Held
from .routes import tables_around


def document(
    app: object, known: Held[RouteTable] | None = None, *, not_modified: bool, if_none_match: bool
) -> None:
    """Let an application's OpenAPI documents tell of the cache. See `CacheManager.document`.

    Args:
        app: The application, or one around it.
        known: The rules of a manager's middleware; None where no manager is given.
        not_modified, if_none_match: See `Extent`.

    Raises:
        ConfigError: If there is no application with a document.
    """

    def found(described: object) -> Given | None:
        """The nearest cache: one of its own, one around all, one that the manager knows."""
        tables = (*tables_around(described), *tables_around(app))
        for table in (*tables, *([] if known is None else known.alive())):
            if table.part(described) is not None:
                return table.app, _given(table)
        return None

    describe(app, found, Extent(not_modified=not_modified, if_none_match=if_none_match))


def _given(table: RouteTable) -> tuple[tuple[Rule, ...], Policy | None]:
    rules, default = table.given
    return tuple(rules), default
