"""Which examples make which batch: shuffled, of like length, the same for the same seed.

Enters: lengths, batch size, seed. Leaves: rows a batch. A plan is never kept: a resumed run makes it again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aisle.training.config import TrainingConfig

Int64Array = NDArray[np.int64]


def steps_of(config: TrainingConfig, n_examples: int) -> tuple[int, int]:
    """Optimiser steps of an epoch, and of the whole run."""
    n_batches = -(-n_examples // config.batch_size)
    an_epoch = -(-n_batches // config.accumulation)
    n_steps = max(1, math.ceil(config.epochs * an_epoch))
    return an_epoch, min(n_steps, config.max_steps) if config.max_steps else n_steps


def batches_of_epoch(
    lengths: Int64Array, batch_size: int, *, seed: int, epoch: int, n_together: int = 50
) -> list[Int64Array]:
    """Rows of each batch, every row once, the last batch possibly smaller.

    Args:
        lengths: (n,) of the examples.
        batch_size: rows a batch.
        seed: of the run.
        epoch: 0-based.
        n_together: batches whose rows are sorted by length together; 0 leaves lengths mixed.
    """
    rng = np.random.default_rng([seed, epoch])
    rows = rng.permutation(len(lengths))
    if n_together:
        pool = n_together * batch_size
        pools = (rows[start : start + pool] for start in range(0, len(rows), pool))
        rows = np.concatenate([one[np.argsort(lengths[one], kind="stable")] for one in pools] or [rows])
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [batches[number] for number in rng.permutation(len(batches))]


def share_of(rows: Int64Array, rank: int, n_processes: int) -> Int64Array:
    """The rows of a batch that one of several processes takes."""
    return rows[rank::n_processes]
