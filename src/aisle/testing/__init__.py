"""What tests of a shop stand on: a small shop with a known right answer."""

from aisle.testing.hashed_words import HashedWords
from aisle.testing.tiny import FrozenClock, TinyShop, tiny_shop

__all__ = ["FrozenClock", "HashedWords", "TinyShop", "tiny_shop"]
