"""More for items that a query seems to mean: guesses soften an order, they leave nothing out.

Enters: a request whose query has guesses, and candidates. Leaves: the same candidates in another order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aisle.domain import NO_VALUE, Candidates, Catalogue, Guess, Request

Floats = NDArray[np.float32]


def meant_first(request: Request, candidates: Candidates, weight: float, catalogue: Catalogue) -> Candidates:
    """Each fused score raised by ``weight`` x the best one x how probably its category and brand are meant."""
    query = request.query
    if not weight or query is None or not len(candidates) or not (query.categories or query.brands):
        return candidates
    best = float(candidates.fused.max())
    if best <= 0:
        return candidates
    rows = candidates.item_rows
    probable = _of_categories(query.categories, rows, catalogue) + _of_brands(query.brands, rows, catalogue)
    fused = (candidates.fused + np.float32(weight * best) * probable).astype(np.float32)
    order = np.lexsort((rows, -fused))
    return Candidates(rows[order], candidates.scores[order], candidates.sources, fused[order])


def _of_categories(guesses: Sequence[Guess], rows: NDArray[np.int64], catalogue: Catalogue) -> Floats:
    """The probability of the likeliest guess that each item lies in. (n,)"""
    code_of = {catalogue.categories.find(guess.value): guess.probability for guess in guesses}
    leaves, place = np.unique(catalogue.column("category")[rows], return_inverse=True)
    of_leaf = [
        max((code_of.get(node, 0.0) for node in catalogue.ancestors(leaf)), default=0.0) if leaf != NO_VALUE else 0.0
        for leaf in leaves.tolist()
    ]
    return np.asarray(of_leaf, dtype=np.float32)[place]


def _of_brands(guesses: Sequence[Guess], rows: NDArray[np.int64], catalogue: Catalogue) -> Floats:
    """The probability that each item's brand is meant. (n,)"""
    brands, probable = catalogue.column("brand")[rows], np.zeros(len(rows), dtype=np.float32)
    for guess in guesses:
        code = catalogue.brands.find(guess.value)
        if code != NO_VALUE:
            probable = np.maximum(probable, np.where(brands == code, np.float32(guess.probability), np.float32(0.0)))
    return probable
