"""The catalogue: what several instances share."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from demo_app.catalogue import Catalogue, UnknownProductError
from tests.demo.support import DRAFT

pytestmark = pytest.mark.no_cover  # the package has no part in it


def test_two_catalogues_share_one_file(tmp_path: Path) -> None:
    """One instance reads what the other writes, and the file is filled once."""
    one, other = Catalogue(f"{tmp_path}/c.db"), Catalogue(f"{tmp_path}/c.db")
    total = one.search().total
    created = one.create(DRAFT)

    assert created == other.product(created.id)
    assert total + 1 == other.search().total
    one.close()
    other.close()


def test_every_edit_raises_the_version() -> None:
    """The first version is 1, and each edit adds 1."""
    with contextlib.closing(Catalogue()) as catalogue:
        number = catalogue.create(DRAFT).id
        edited = [catalogue.update(number, DRAFT).version for _ in range(3)]

    assert edited == [2, 3, 4]


def test_number_of_removed_product_is_never_used_again() -> None:
    """A number never belongs to another product later."""
    with contextlib.closing(Catalogue()) as catalogue:
        removed = catalogue.delete(catalogue.create(DRAFT).id)

        assert removed.id < catalogue.create(DRAFT).id


@pytest.mark.parametrize("call", ["product", "delete", "update"])
def test_unknown_product_is_named(call: str) -> None:
    """The error contains the number."""
    arguments = [9999, DRAFT] if call == "update" else [9999]
    unknown = pytest.raises(UnknownProductError, match="no product 9999")
    with contextlib.closing(Catalogue()) as catalogue, unknown:
        getattr(catalogue, call)(*arguments)


def test_failed_write_leaves_the_catalogue_usable() -> None:
    """A query that fails inside a transaction ends it."""
    with contextlib.closing(Catalogue()) as catalogue:
        with pytest.raises(KeyError):
            catalogue.search(sort="colour")  # type: ignore[arg-type]

        assert catalogue.search().items


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param(
            {"text": "AMBER k"}, ["Amber Kalimba", "Amber Kettle", "Amber Kite"], id="text"
        ),
        pytest.param({"text": "kite", "category": "music"}, [], id="category"),
        pytest.param({"text": "%"}, [], id="no-wildcards"),
        pytest.param({"text": "amber k", "page": 2}, [], id="page-past-the-end"),
    ],
)
def test_search_finds_by_text_and_category(query: dict[str, Any], names: list[str]) -> None:
    """Text matches anywhere in the name, in any case; a category narrows it."""
    with contextlib.closing(Catalogue()) as catalogue:
        assert names == [item.name for item in catalogue.search(**query).items]


def test_pages_hold_every_product_once() -> None:
    """The pages together contain each product once, in the requested order."""
    with contextlib.closing(Catalogue()) as catalogue:
        first = catalogue.search(sort="price")
        pages = [catalogue.search(sort="price", page=n + 1).items for n in range(first.pages)]
    items = [item for page in pages for item in page]

    assert first.total == len({item.id for item in items}) == len(items)
    assert sorted(items, key=lambda item: (item.price_cents, item.id)) == items
