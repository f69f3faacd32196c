"""What a shop can show: products, articles, videos, promotions, advertisements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aisle.domain.checks import require_whole
from aisle.errors import DataError


class ItemKind(StrEnum):
    """What an item is; placements choose over kinds."""

    PRODUCT = "product"
    ARTICLE = "article"
    VIDEO = "video"
    PROMOTION = "promotion"
    ADVERTISEMENT = "advertisement"


UNKNOWN_LANGUAGE = "und"
"""BCP 47 tag for text whose language was not given and could not be told."""


@dataclass(frozen=True, slots=True)
class ItemText:
    """The words of an item in one language (BCP 47 primary tag such as ``en`` or ``zh``)."""

    language: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing the shop can show. Money is in minor units (cents, fen) of ``currency``; times are UTC milliseconds.

    ``stock`` None means the shop does not count it; with 0 it cannot be bought, and is shown where a placement shows
    what is out of stock. ``category`` is a path, root first. ``starts_ms``/``ends_ms`` bound when it may be shown, and
    ``is_available`` False withdraws it (delisted, recalled): it is then shown nowhere.
    """

    item_id: str
    texts: tuple[ItemText, ...]
    kind: ItemKind = ItemKind.PRODUCT
    brand: str | None = None
    category: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    price_minor: int | None = None
    currency: str | None = None
    cost_minor: int | None = None
    stock: int | None = None
    seller: str | None = None
    image: str | None = None
    created_ms: int | None = None
    starts_ms: int | None = None
    ends_ms: int | None = None
    is_available: bool = True

    def __post_init__(self) -> None:
        if not self.item_id:
            raise DataError("an item needs a non-empty item_id", field="item_id")
        if not self.texts:
            raise DataError(f"item {self.item_id!r} has no text; give at least a title", field="texts")
        for name in ("price_minor", "cost_minor", "stock"):
            require_whole(f"item {self.item_id!r}", name, getattr(self, name), least=0)

    def text(self, language: str | None = None) -> ItemText:
        """The text in ``language``, or the item's first text when it has none in it."""
        return next((text for text in self.texts if text.language == language), self.texts[0])

    @property
    def title(self) -> str:
        """The title in the item's first language."""
        return self.texts[0].title
