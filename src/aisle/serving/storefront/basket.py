"""What a visitor means to buy, kept in a cookie of his own: item ids and quantities, read with distrust."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

MOST_LINES = 40
MOST_PIECES = 99
MOST_CHARACTERS = 3_500
"""A browser keeps cookies of about 4,000 characters."""
_LONGEST_ID = 200


@dataclass(frozen=True)
class Basket:
    """Quantities by item id, in the order in which the items were put in."""

    lines: tuple[tuple[str, int], ...] = ()

    @classmethod
    def read(cls, cookie: str | None) -> Basket:
        """The basket in ``cookie``; an empty one where it cannot be read."""
        if not cookie or len(cookie) > MOST_CHARACTERS:
            return cls()
        try:
            rows = orjson.loads(base64.urlsafe_b64decode(cookie))
        except (binascii.Error, ValueError):
            return cls()
        return cls(tuple(_sound(rows))) if isinstance(rows, list) else cls()

    def write(self) -> str:
        """What ``read`` reads."""
        return base64.urlsafe_b64encode(orjson.dumps([list(line) for line in self.lines])).decode()

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The items, in order."""
        return tuple(item_id for item_id, _ in self.lines)

    @property
    def n_pieces(self) -> int:
        """All quantities together."""
        return sum(quantity for _, quantity in self.lines)

    def quantity(self, item_id: str) -> int:
        """How many of an item; 0 when it is not inside."""
        return dict(self.lines).get(item_id, 0)

    def put(self, item_id: str, quantity: int) -> Basket:
        """With ``quantity`` (0 to 99) of an item, 0 taking it out; unchanged when there is no room for it."""
        quantity = min(max(quantity, 0), MOST_PIECES)
        now = dict(self.lines)
        now[item_id] = quantity
        changed = Basket(tuple((known, n) for known, n in now.items() if n))
        is_too_much = len(changed.lines) > MOST_LINES or len(changed.write()) > MOST_CHARACTERS
        return self if is_too_much else changed

    def only(self, item_ids: Iterable[str]) -> Basket:
        """Without what is not among ``item_ids``."""
        known = set(item_ids)
        return Basket(tuple(line for line in self.lines if line[0] in known))


def _sound(rows: list[object]) -> Iterable[tuple[str, int]]:
    seen: set[str] = set()
    for row in rows[:MOST_LINES]:
        match row:
            case [str() as item_id, int() as quantity] if (
                0 < len(item_id) <= _LONGEST_ID and 0 < quantity <= MOST_PIECES and item_id not in seen
            ):
                seen.add(item_id)
                yield item_id, quantity
