"""How one instance of the demo runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Framework: TypeAlias = Literal["fastapi", "starlette"]

FRAMEWORKS: tuple[Framework, Framework] = ("fastapi", "starlette")


@dataclass(frozen=True, slots=True)
class Settings:
    """How one instance runs.

    Attributes:
        framework: The framework of the application.
        name: The instance's name on the page.
        redis_url: Address of the shared tier; None for memory only.
        database: The catalogue's file; by default in memory, separate for each instance.
        pages: Origins of the pages that may read the answers, such as `http://127.0.0.1:8000`.
        token: What an operator of the cache sends; None for no operators.
    """

    framework: Framework = "fastapi"
    name: str = "A"
    redis_url: str | None = None
    database: str = ":memory:"
    pages: Sequence[str] = ()
    token: str | None = field(default=None, repr=False)
