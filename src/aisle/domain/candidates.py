"""What sources propose, and how lists of proposals are cut and ordered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.domain.requests import Request
from aisle.errors import DataError


@dataclass(frozen=True)
class Candidates:
    """Items proposed for one request, best first, ties by ascending row, no row twice.

    ``item_rows`` (n,) int64; ``scores`` (n, n_sources) float32, nan where a source did not propose or score the item;
    ``sources`` their names; ``fused`` (n,) float32, the score the order follows.
    """

    item_rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    sources: tuple[str, ...]
    fused: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.item_rows)
        if self.scores.shape != (n, len(self.sources)) or self.fused.shape != (n,):
            raise DataError(
                f"candidates do not fit together: {n} rows, scores {self.scores.shape}, "
                f"{len(self.sources)} sources, fused {self.fused.shape}"
            )
        if not np.isfinite(self.fused).all():
            raise DataError(f"candidates of {', '.join(self.sources)}: fused scores must be finite")

    @classmethod
    def empty(cls, *sources: str) -> Candidates:
        """Nothing proposed."""
        return cls(
            np.empty(0, np.int64), np.empty((0, len(sources)), np.float32), tuple(sources), np.empty(0, np.float32)
        )

    @classmethod
    def of_one(cls, source: str, item_rows: NDArray[np.integer], scores: NDArray[np.floating]) -> Candidates:
        """Proposals of one source, already unique; they are put into order here."""
        order = np.lexsort((item_rows, -scores))
        ordered = scores[order].astype(np.float32)
        return cls(item_rows[order].astype(np.int64), ordered[:, None], (source,), ordered)

    def __len__(self) -> int:
        return len(self.item_rows)

    def keep(self, wanted: NDArray[np.bool_]) -> Candidates:
        """Only the candidates marked in ``wanted`` (n,) bool."""
        return Candidates(self.item_rows[wanted], self.scores[wanted], self.sources, self.fused[wanted])

    def best(self, n: int) -> Candidates:
        """The first ``n``."""
        return Candidates(self.item_rows[:n], self.scores[:n], self.sources, self.fused[:n])


def top_candidates(source: str, scores: NDArray[np.floating], n: int, request: Request | None = None) -> Candidates:
    """The ``n`` best rows of a dense score vector (n_rows,): finite scores only, what ``request`` allows only.

    Best first, ties by ascending row, also at the cut. Cost O(n_rows).
    """
    usable = np.isfinite(scores)
    if request is not None:
        usable &= allowed_mask(request, len(scores))
    rows = np.flatnonzero(usable)
    if len(rows) > n:
        values = scores[rows]
        threshold = np.partition(values, len(values) - n)[len(values) - n]
        above = rows[values > threshold]
        rows = np.concatenate([above, rows[values == threshold][: n - len(above)]])
    return Candidates.of_one(source, rows, scores[rows])


def allowed_mask(request: Request, n_rows: int) -> NDArray[np.bool_]:
    """Which of the first ``n_rows`` rows ``request`` allows. (n_rows,) bool, a fresh array."""
    mask = np.ones(n_rows, dtype=np.bool_)
    if request.allowed is not None:
        known = min(n_rows, len(request.allowed))
        mask[:known] = request.allowed[:known]
        mask[known:] = False
    excluded = request.excluded_rows
    mask[excluded[(excluded >= 0) & (excluded < n_rows)]] = False
    return mask
