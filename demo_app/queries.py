"""What clients ask with: parameters and bodies, checked by both applications."""

from pydantic import BaseModel, ConfigDict, Field

from .catalogue import Sort


class ListQuery(BaseModel):
    """The parameters of the list."""

    category: str | None = None
    page: int = Field(default=1, ge=1, le=1000)


class SearchQuery(BaseModel):
    """The parameters of the search."""

    q: str = Field(default="", max_length=80)
    page: int = Field(default=1, ge=1, le=1000)
    sort: Sort = "name"


class PriceChange(BaseModel):
    """A new price."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    price_cents: int = Field(ge=0, le=100_000_000)
