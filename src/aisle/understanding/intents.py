"""What somebody who types a query is after: a thing, a shelf, a brand, a bargain, or help.

Enters: what was found in a query. Leaves: a probability for each ``Intent``. Looks nothing up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from aisle.domain import Intent

_BARGAIN = re.compile(
    r"\b(?:cheap(?:est|er)?|budget|affordable|inexpensive|discount(?:ed|s)?|on sale|deals?|clearance|bargains?|"
    r"low(?:est)? price|best price)\b|便宜|实惠|特价|打折|折扣|清仓|低价|平价|促销|白菜价|性价比",
    re.IGNORECASE,
)
_SHARE_OF_LIMITED, _SHARE_OF_BARGAIN = 0.8, 0.6
"""How likely the price matters most to who limits it, and to who only says ``cheap``."""
_SHARE_OF_NAMED = 0.3
"""How likely who names a brand or a category among other words wants to look around in it."""
_SHARE_OF_WHOLE = 0.6
"""Of the words, counted by how probable the name is, from which on nothing but the name was typed."""


def intents(
    text: str, service: float, covered: Mapping[Intent, float], n_words: int, *, has_price: bool
) -> tuple[tuple[Intent, float], ...]:
    """A probability for every intent, likeliest first; they sum to one.

    Args:
        text: the query.
        service: probability that it asks for help.
        covered: of ``CATEGORY`` and ``BRAND``, how many words name one, times how probable it is.
        n_words: how many words the query has, prices left out.
        has_price: whether it limits the price.

    Help comes first; of the rest the price takes its share, then names by the share of the words that they cover.
    """
    found = {Intent.SERVICE: service}
    rest = 1.0 - service
    price = _SHARE_OF_LIMITED if has_price else _SHARE_OF_BARGAIN if _BARGAIN.search(text) else 0.0
    found[Intent.PRICE] = rest * price
    rest -= found[Intent.PRICE]
    named = {intent: min(n / n_words, 1.0) if n_words else 0.0 for intent, n in covered.items()}
    weights = {intent: share if share > _SHARE_OF_WHOLE else _SHARE_OF_NAMED * share for intent, share in named.items()}
    total = max(math.fsum(weights.values()), 1.0)
    for intent in (Intent.CATEGORY, Intent.BRAND):
        found[intent] = rest * weights.get(intent, 0.0) / total
    found[Intent.PRODUCT] = max(rest - found[Intent.CATEGORY] - found[Intent.BRAND], 0.0)
    order = list(Intent)
    return tuple(sorted(found.items(), key=lambda one: (-one[1], order.index(one[0]))))
