"""Who is told of a change of a cache, and need not live for as long as it does."""

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar
from weakref import WeakMethod, ref

T = TypeVar("T")


class Held(Generic[T]):
    """Objects for as long as something else holds them, the last that was added first."""

    def __init__(self) -> None:
        self._all: tuple[ref[T], ...] = ()

    def add(self, one: T) -> None:
        """Hold one; those that are gone are left out from here on."""
        self._all = (ref(one), *(each for each in self._all if each() is not None))

    def alive(self) -> list[T]:
        """Those that are not gone."""
        return [found for each in self._all if (found := each()) is not None]


class Listeners(Generic[T]):
    """Methods that are called for as long as their objects live. May be called in any thread."""

    def __init__(self) -> None:
        self._methods: list[WeakMethod[Callable[[], T]]] = []

    def add(self, method: Callable[[], T]) -> None:
        """Call this from here on, and forget those whose objects are gone.

        Args:
            method: A method of an object that something else holds.
        """
        for each in [each for each in self._methods if each() is None]:
            with suppress(ValueError):  # another thread was here
                self._methods.remove(each)
        self._methods.append(WeakMethod(method))

    def call(self) -> list[T]:
        """Call all; what they return."""
        alive = [each() for each in tuple(self._methods)]
        return [method() for method in alive if method is not None]
