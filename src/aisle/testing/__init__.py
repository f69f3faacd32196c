"""What tests of a shop stand on: a small shop with a known right answer."""

from aisle.testing.tiny import FrozenClock, TinyShop, tiny_shop

__all__ = ["FrozenClock", "TinyShop", "tiny_shop"]
