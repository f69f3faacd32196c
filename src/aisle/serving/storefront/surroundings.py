"""What surrounds every page: the category menu and a few users to be. Read seldom, kept for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from aisle.domain import NO_VALUE, User
from aisle.errors import AisleError
from aisle.serving.storefront.facets import BETWEEN
from aisle.shop import Shop

log = logging.getLogger("aisle.storefront")

T = TypeVar("T")
KEPT_SECONDS = 60.0
MOST_USERS = 5
_LOOKED_AT_USERS, _LOOKED_AT_EVENTS = 200, 500


@dataclass(frozen=True)
class Category:
    """A category with what lies directly below it, most items first."""

    path: str
    n_items: int
    below: Sequence[Category] = ()


class Kept(Generic[T]):
    """A value that is made anew when it has grown old; a failure leaves the old one."""

    def __init__(self, make: Callable[[Shop], T], at_first: T) -> None:
        self._make = make
        self._value = at_first
        self._made_at = -KEPT_SECONDS
        self._lock = threading.Lock()

    def read(self, shop: Shop) -> T:
        """The value, at most a minute old unless it cannot be made."""
        with self._lock:
            if time.monotonic() - self._made_at >= KEPT_SECONDS:
                try:
                    self._value = self._make(shop)
                except AisleError as error:
                    log.warning("a menu of the storefront is shown as it was: %s", error)
                self._made_at = time.monotonic()
            return self._value


def read_categories(shop: Shop) -> Sequence[Category]:
    """The category tree with counts, as the catalogue is now."""
    catalogue = shop.live.stages.catalogue
    leaves, counts = np.unique(catalogue.column("category"), return_counts=True)
    in_node: Counter[str] = Counter()
    for leaf, n in zip(leaves.tolist(), counts.tolist(), strict=True):
        if leaf != NO_VALUE:
            for node in catalogue.ancestors(leaf):
                in_node[catalogue.categories.values[node]] += n

    def below(parent: str) -> list[Category]:
        paths = [path for path in in_node if path.rpartition(BETWEEN)[0] == parent]
        return [
            Category(path, in_node[path], below(path))
            for path in sorted(paths, key=lambda path: (-in_node[path], path))
        ]

    return below("")


def read_people(shop: Shop) -> Sequence[User]:
    """A few users who did most lately, to look at the shop as."""
    events = shop.list_events(limit=_LOOKED_AT_EVENTS).rows
    busy = [user_id for user_id, _ in Counter(event.user_id for event in events).most_common(_LOOKED_AT_USERS)]
    known = {user.user_id: user for user in shop.list_users(limit=_LOOKED_AT_USERS).rows}
    named = [user_id for user_id in busy if not user_id.startswith("visitor-")]
    wanted = [*(user_id for user_id in named if user_id in known), *named, *known]
    return [known.get(user_id) or User(user_id) for user_id in dict.fromkeys(wanted)][:MOST_USERS]
