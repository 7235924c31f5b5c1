"""The contract of a first tier."""

# ruff: noqa: S101  # assertions are what this module is for

from typing import ClassVar

from ..entry import Born, Entry, Slot
from ..tiers.base import LocalTier, SharedTier

MINUTE = 60.0


def value_entry(key: str, value: bytes = b"value", *, now: float = 1_000.0) -> Entry:
    """An entry with a value that is fresh, and kept, for a minute."""
    return Entry(
        key=key,
        payload=value,
        born=Born("", 0),
        created=now,
        fresh_until=now + MINUTE,
        keep_until=now + MINUTE,
        filled_at=now,
    )


class LocalTierContract:
    """The contract of every `LocalTier`. Derive a class and define `make`.

    Attributes:
        keeps: Whether the tier stores anything; False for one that is switched off.
    """

    keeps: ClassVar[bool] = True

    def make(self) -> LocalTier:
        """A new, empty tier with room for a dozen small entries; its clock reads 1,000 s."""
        raise NotImplementedError

    def test_is_a_local_tier(self) -> None:
        """It has the protocol's methods, a name, and cannot be taken for a shared tier."""
        tier = self.make()
        other: object = tier

        assert isinstance(tier, LocalTier)
        assert not isinstance(other, SharedTier)
        assert isinstance(tier.name, str)
        assert tier.name

    def test_absent_key_reads_none(self) -> None:
        """A key that was never set reads as None, without an error."""
        tier = self.make()

        assert tier.get("absent") is None
        assert len(tier) == 0

    def test_slot_comes_back_as_the_same_object(self) -> None:
        """Readers write to the slot of an entry, so a slot is not copied."""
        tier = self.make()
        slot = Slot(value_entry("a"))

        assert tier.set(slot) is self.keeps
        assert tier.get("a") is (slot if self.keeps else None)
        assert len(tier) == int(self.keeps)

    def test_set_replaces(self) -> None:
        """A key has one slot, the one set last."""
        tier = self.make()
        slot = Slot(value_entry("a", b"new"))
        tier.set(Slot(value_entry("a", b"old")))
        tier.set(slot)

        assert tier.get("a") is (slot if self.keeps else None)
        assert len(tier) == int(self.keeps)

    def test_keys_do_not_touch_each_other(self) -> None:
        """Keys that share a prefix, or differ in case alone, are different keys."""
        tier = self.make()
        slots = [Slot(value_entry(key)) for key in ("a", "A", "ab", "", "a\x00b", "ä")]
        for slot in slots:
            tier.set(slot)

        for slot in slots:
            assert tier.get(slot.entry.key) is (slot if self.keeps else None)

    def test_delete_forgets_one_and_says_whether_it_was_there(self) -> None:
        """Deleting an absent key is no error."""
        tier = self.make()
        tier.set(Slot(value_entry("a")))
        tier.set(Slot(value_entry("b")))

        assert tier.delete("a") is self.keeps
        assert tier.delete("a") is False
        assert tier.get("a") is None
        assert (tier.get("b") is not None) is self.keeps

    def test_clear_forgets_everything(self) -> None:
        """After `clear` the tier is empty and usable."""
        tier = self.make()
        tier.set(Slot(value_entry("a")))
        tier.clear()

        assert tier.get("a") is None
        assert len(tier) == 0
        assert tier.set(Slot(value_entry("a"))) is self.keeps

    def test_empty_value_is_a_value(self) -> None:
        """An entry without content is not an absent one."""
        tier = self.make()
        tier.set(Slot(value_entry("a", b"")))

        assert (tier.get("a") is not None) is self.keeps

    def test_repr_says_something(self) -> None:
        """The text names the class."""
        assert type(self.make()).__name__ in repr(self.make())
