"""What may be shown at all: availability, dates, kind, category, brand, attributes, price, rating, seen, bought.

Enters: filters and a user's state. Leaves: the ``allowed`` mask and the ``excluded_rows`` of a ``Request``. Sources
propose only within them, so that a filter never empties a list that had other items to offer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aisle.domain import EVENT_CODE, INTEREST_TYPES, NO_VALUE, Catalogue, EventType, Filters, UserState
from aisle.domain.catalogue import codes_of_kinds
from aisle.errors import NotReadyError

_INTEREST_CODES = np.array([EVENT_CODE[event_type] for event_type in INTEREST_TYPES], dtype=np.uint8)


FindRatings = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Mean ratings of rows, nan where nobody rated."""

KEPT_MASKS = 64
"""Masks kept for repeated filters; a placement's own filters are the same for everybody."""


@dataclass(frozen=True)
class _Showable:
    """Which items may be shown, valid for one catalogue version from ``since_ms`` until just before ``until_ms``.

    ``narrowed`` keeps masks of filters asked for while it is valid.
    """

    version: int
    since_ms: int
    until_ms: float
    mask: NDArray[np.bool_]
    narrowed: dict[Filters, NDArray[np.bool_]] = field(default_factory=dict)


class Eligibility:
    """Turns filters into masks over a catalogue.

    Masks are kept until the catalogue changes or the next start or end date of an item, and so are exact at every
    moment. Cost of a request whose filters were asked for lately: O(1), otherwise O(n_items) per filter, O(pairs) per
    attribute. Ratings change with every event: their limit costs O(n_items) always.

    Prices of filters are in ``currency``, the shop's; an item priced in another one matches no price filter.
    """

    def __init__(self, catalogue: Catalogue, currency: str, ratings: FindRatings | None = None) -> None:
        self._catalogue = catalogue
        self._currency = currency
        self._ratings = ratings
        self._showable: _Showable | None = None
        self._lock = threading.Lock()

    def allowed(self, filters: Filters, now_ms: int) -> NDArray[np.bool_]:
        """(n_items,) bool, not to be written to.

        Raises:
            NotReadyError: it is limited by rating, and nobody counts ratings.
        """
        showable = self._showable_at(now_ms)
        of_items = replace(filters, excluded_item_ids=(), has_seen=True, has_bought=True, min_rating=None)
        kept = showable.narrowed.get(of_items)
        if kept is None:
            kept = self._narrow(showable.mask, of_items)
            kept.setflags(write=False)
            if len(showable.narrowed) >= KEPT_MASKS:
                showable.narrowed.clear()
            showable.narrowed[of_items] = kept
        return kept if filters.min_rating is None else kept & self._rated(filters.min_rating, len(kept))

    def _rated(self, least: float, n_items: int) -> NDArray[np.bool_]:
        if self._ratings is None:
            raise NotReadyError("a limit by rating needs statistics that count ratings", command="aisle train")
        return self._ratings(np.arange(n_items)) >= least  # False for nan

    def _narrow(self, showable: NDArray[np.bool_], filters: Filters) -> NDArray[np.bool_]:
        catalogue = self._catalogue
        n_items = len(showable)
        parts = [showable]
        if filters.is_in_stock_only:
            parts.append(catalogue.column("stock")[:n_items] != 0)
        if filters.kinds:
            parts.append(np.isin(catalogue.column("kind")[:n_items], codes_of_kinds(filters.kinds)))
        if filters.categories:
            parts.append(np.any([catalogue.in_category(path)[:n_items] for path in filters.categories], axis=0))
        for names, codes, wanted in (
            (catalogue.brands, "brand", filters.brands),
            (catalogue.sellers, "seller", filters.sellers),
        ):
            if wanted:
                known = [code for code in map(names.find, wanted) if code != NO_VALUE]
                parts.append(np.isin(catalogue.column(codes)[:n_items], known))
        parts += [catalogue.attributes.having(name, values, n_items) for name, values in filters.attributes.items()]
        if filters.min_price_minor is not None or filters.max_price_minor is not None:
            price = catalogue.column("price_minor")[:n_items]
            currency = catalogue.column("currency")[:n_items]
            parts.append((currency == NO_VALUE) | (currency == catalogue.currencies.find(self._currency)))
            low, high = filters.min_price_minor or 0, filters.max_price_minor
            parts.append((price != NO_VALUE) & (price >= low) & (price <= (high if high is not None else price)))
        return np.logical_and.reduce(parts)

    def excluded(self, filters: Filters, state: UserState) -> NDArray[np.int64]:
        """Rows this user should not be shown: named ones, and what was seen or bought when the filters say so."""
        named = self._catalogue.rows(filters.excluded_item_ids)
        groups = [named[named != NO_VALUE]]
        if not filters.has_seen:
            groups.append(state.item_rows[np.isin(state.types, _INTEREST_CODES)])
        elif not filters.has_bought:
            groups.append(state.item_rows[state.types == EVENT_CODE[EventType.PURCHASE]])
        return np.unique(np.concatenate(groups))

    def _showable_at(self, now_ms: int) -> _Showable:
        kept = self._showable
        catalogue = self._catalogue
        if kept and kept.version == catalogue.version and kept.since_ms <= now_ms < kept.until_ms:
            return kept
        with self._lock:
            version = catalogue.version
            mask = catalogue.showable(now_ms)
            mask.setflags(write=False)
            dates = np.concatenate([catalogue.column("starts_ms"), catalogue.column("ends_ms")])
            later = dates[dates > now_ms]
            until_ms = float(later.min()) if len(later) else float("inf")
            fresh = _Showable(version, now_ms, until_ms, mask)
            self._showable = fresh
            return fresh
