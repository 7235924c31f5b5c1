"""What an application of the corpus is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette

from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.world import World


@dataclass(frozen=True)
class Application:
    """One application, its traffic, and what is wrong about it.

    Attributes:
        name: A short name.
        make: Makes the application on a machine.
        drive: Sends its traffic.
        expected: What is careless about it; nothing for a correct one.
        rules: Rules of the middleware, for an application that is not annotated.
        settings: Settings of the manager.
    """

    name: str
    make: Callable[[World], Starlette]
    drive: Callable[[Traffic], Awaitable[None]]
    expected: tuple[Expected, ...] = ()
    rules: tuple[Any, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
