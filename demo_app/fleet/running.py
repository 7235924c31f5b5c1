"""The start and the end of a fleet."""

import contextlib
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ..catalogue import Catalogue
from ..ports import listen, origins_of
from ..settings import FRAMEWORKS
from ..valkey import Valkey
from .control import serving
from .fleet import Fleet
from .instance import Instance

PORTS = (8000, 8001, 8002)
"""Of the page, and of the instances A and B."""


@contextlib.contextmanager
def running_fleet(
    ports: Sequence[int] = PORTS, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Fleet]:
    """Start everything, and stop it at the end of the block.

    Args:
        ports: The preferred ports of the page and of each instance; if one is taken, any free port.
        environment: Further variables of the instances' processes: settings of their caches.

    Raises:
        RuntimeError: If the server or an instance does not start.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-"))
        valkey = stack.enter_context(Valkey())
        page = stack.enter_context(listen(ports[0], or_any=True))
        database = f"{folder}/catalogue.db"
        Catalogue(database).close()  # Created before the instances open it.
        shared = ["--redis-url", valkey.url, "--database", database]
        shared += [part for origin in origins_of(page) for part in ("--page", origin)]
        token = secrets.token_urlsafe(32)
        instances = []
        for name, framework, port in zip("AB", FRAMEWORKS, ports[1:], strict=True):
            instance = Instance(name, framework, port, shared, token, environment)
            stack.callback(instance.close)
            instances.append(instance)
            instance.begin()
        for instance in instances:
            instance.wait_until_ready()
        fleet = Fleet(instances, valkey, token, origins_of(page)[0])
        with serving(fleet, page):
            yield fleet
