"""The products of a new catalogue."""

import itertools
import random
from collections.abc import Iterator

_THINGS = {
    "garden": ("Spade", "Lantern", "Hammock", "Watering Can", "Bench"),
    "kitchen": ("Kettle", "Skillet", "Teapot", "Carving Knife", "Mixing Bowl"),
    "music": ("Ukulele", "Metronome", "Tambourine", "Melodica", "Kalimba"),
    "office": ("Stapler", "Desk Lamp", "Notebook", "Fountain Pen", "Letter Tray"),
    "outdoor": ("Tent", "Rucksack", "Compass", "Camp Stove", "Sleeping Bag"),
    "toys": ("Kite", "Spinning Top", "Marble Run", "Puzzle", "Yo-yo"),
}
_LOOKS = ("Amber", "Brass", "Cobalt", "Ivory", "Olive", "Scarlet", "Walnut")


def assortment() -> Iterator[tuple[str, str, int, int]]:
    """Name, category, price in cents and stock of each product: always the same."""
    chance = random.Random(2616)
    for category, things in _THINGS.items():
        for thing, look in itertools.product(things, _LOOKS):
            price, stock = chance.randrange(495, 24995, 5), chance.randrange(0, 120)
            yield f"{look} {thing}", category, price, stock
