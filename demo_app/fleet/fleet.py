"""All parts of the demo: two instances and their shared server; what kills and restarts them."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..valkey import Valkey
from .instance import Instance


class Part(Protocol):
    """Something that can be killed and started again."""

    @property
    def code(self) -> int | None:
        """The exit code of its process; None while it runs."""

    def start(self) -> None:
        """Start it, and return when it answers."""

    def kill(self) -> None:
        """End it without a word, as a crash does, and return when it is gone."""


class NotNowError(Exception):
    """A part is to be killed that does not run, or to be started that does."""


class Fleet:
    """Running instances with a shared server.

    Args:
        instances: In order.
        valkey: The shared server.
        token: What an operator sends, here and to the caches: another one at each start.
        page: The address of the page.

    Attributes:
        addresses: Those of the instances, in order.
        parts: By name: `A`, `B`, `valkey`.
    """

    def __init__(
        self, instances: Sequence[Instance], valkey: Valkey, token: str, page: str
    ) -> None:
        self.instances = tuple(instances)
        self.addresses = tuple(instance.address for instance in instances)
        self.valkey = valkey
        self.token = token
        self.page = page
        self.parts: Mapping[str, Part] = {
            **{instance.name: instance for instance in instances},
            "valkey": valkey,
        }
        self._killed: set[str] = set()
        self._one_at_a_time = threading.Lock()

    def kill(self, name: str) -> None:
        """Kill a part.

        Raises:
            NotNowError: If it does not run.
        """
        with self._one_at_a_time:
            part = self.parts[name]
            if part.code is not None:
                raise NotNowError(f"{name} does not run")
            self._killed.add(name)
            part.kill()

    def restart(self, name: str) -> None:
        """Start a part that does not run.

        Raises:
            NotNowError: If it runs.
            RuntimeError: If it does not start.
        """
        with self._one_at_a_time:
            part = self.parts[name]
            if part.code is None:
                raise NotNowError(f"{name} runs")
            part.start()
            self._killed.discard(name)

    def why_not(self, name: str) -> str:
        """Why a part does not run, in words; "" while it does."""
        code = self.parts[name].code
        if code is None:
            return ""
        return "it was killed here" if name in self._killed else f"it ended with code {code}"

    def state(self) -> dict[str, Any]:
        """What runs, and where: for the page."""
        return {
            "instances": [
                {
                    "name": instance.name,
                    "framework": instance.framework,
                    "address": instance.address,
                    "why_not": self.why_not(instance.name),
                }
                for instance in self.instances
            ],
            "valkey": {"address": self.valkey.url, "why_not": self.why_not("valkey")},
        }
