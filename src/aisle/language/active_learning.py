"""Which texts are worth a person's time: those a model is unsure of, those unlike the rest, those that change it most.

Enters: what a model says and where it places texts. Leaves: rows, best first. Knows nothing of models and people.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array
from aisle.errors import ConfigError

Pick = Literal["random", "uncertainty", "diversity", "change", "badge"]
PICKS: tuple[Pick, ...] = ("random", "uncertainty", "diversity", "change", "badge")
Int64Array = NDArray[np.int64]


def pick(
    how: Pick,
    n: int,
    *,
    vectors: Float32Array,
    probabilities: Float32Array | None = None,
    labelled: Float32Array | None = None,
    seed: int = 0,
) -> Int64Array:
    """The ``n`` rows to label next, best first; all where there are fewer.

    ``uncertainty``: the two most probable labels are closest (smallest margin, Scheffer et al. 2001). ``diversity``:
    farthest from what is labelled and from what was picked before (greedy k-center, Sener and Savarese 2018).
    ``change``: the expected length of the gradient that a label would give a linear head, over the labels'
    probabilities (Settles, Craven and Ray 2008). ``badge``: both of these, texts that would change the model much and
    each in another way: k-means++ on the gradients that its own answers would give (Ash et al. 2020).

    Args:
        how: by what.
        n: how many.
        vectors: (n_texts, d) where the model places the texts.
        probabilities: (n_texts, n_labels) what it says; not needed for ``random`` and ``diversity``.
        labelled: (m, d) where it places what is labelled already, for ``diversity``.
        seed: of ``random``, ``badge`` and of where ``diversity`` begins when nothing is labelled.

    Raises:
        ConfigError: there is no such way, or it needs a model that tells probabilities.
    """
    if how not in PICKS:
        raise ConfigError(f"rows cannot be picked by {how!r}; there are {', '.join(PICKS)}")
    rng = np.random.default_rng(seed)
    n = min(n, len(vectors))
    if how == "random":
        return rng.permutation(len(vectors))[:n]
    if how == "diversity":
        return _farthest(n, vectors, labelled, rng)
    if probabilities is None:
        raise ConfigError(
            f'picking by "{how}" needs a model that tells probabilities; fine-tune one on what is labelled, or pick by '
            '"diversity" or "random" first'
        )
    if how == "badge":
        return _unlike_gradients(n, probabilities, vectors, rng)
    worth = -_margin(probabilities) if how == "uncertainty" else expected_change(probabilities, vectors)
    return np.argsort(-worth, kind="stable")[:n]


def _margin(probabilities: Float32Array) -> Float32Array:
    """(n,) how far the most probable label is before the next."""
    best = np.sort(probabilities, axis=1)
    return best[:, -1] - best[:, -2]


def expected_change(probabilities: Float32Array, vectors: Float32Array) -> Float32Array:
    """(n,) mean length of the gradient of the cross-entropy by a linear head's weights, over what the label may be.

    The gradient for label y is the outer product of ``p - e_y`` and the vector.
    """
    squares = (probabilities**2).sum(axis=1, keepdims=True)  # (n, 1)
    lengths = np.sqrt(np.maximum(squares - 2 * probabilities + 1.0, 0.0))  # (n, n_labels) of p - e_y
    return (probabilities * lengths).sum(axis=1) * np.linalg.norm(vectors, axis=1)


def _unlike_gradients(
    n: int, probabilities: Float32Array, vectors: Float32Array, rng: np.random.Generator
) -> Int64Array:
    """k-means++ on the gradients of a linear head's weights, for the label the model would give.

    A gradient is the outer product of ``p - e_y`` and the vector, so that products of gradients are products of both
    parts and the (n_labels x d) numbers are never written down. The first is the longest.
    """
    parts = probabilities.astype(np.float64)
    parts[np.arange(len(parts)), probabilities.argmax(axis=1)] -= 1.0  # (n_texts, n_labels)
    squares = (parts**2).sum(axis=1) * (vectors.astype(np.float64) ** 2).sum(axis=1)
    chosen = [int(squares.argmax())]
    nearest = np.full(len(vectors), np.inf)
    while len(chosen) < n:
        last = chosen[-1]
        apart = squares + squares[last] - 2 * (parts @ parts[last]) * (vectors @ vectors[last])
        nearest = np.minimum(nearest, np.maximum(apart, 0.0))
        nearest[chosen] = 0.0
        total = nearest.sum()
        if total > 0.0:
            chosen.append(int(rng.choice(len(nearest), p=nearest / total)))
        else:  # all that is left is as some that are chosen
            chosen += np.setdiff1d(np.arange(len(vectors)), chosen)[: n - len(chosen)].tolist()
    return np.array(chosen[:n], dtype=np.int64)


def _farthest(n: int, vectors: Float32Array, labelled: Float32Array | None, rng: np.random.Generator) -> Int64Array:
    chosen: list[int] = []
    nearest = np.full(len(vectors), np.inf)  # squared distance to what is labelled or chosen
    if labelled is not None and len(labelled):
        for start in range(0, len(labelled), 256):
            some = labelled[start : start + 256]
            apart = (vectors**2).sum(axis=1, keepdims=True) - 2 * vectors @ some.T + (some**2).sum(axis=1)
            nearest = np.minimum(nearest, np.maximum(apart.min(axis=1), 0.0))
    while len(chosen) < n:
        row = int(nearest.argmax()) if np.isfinite(nearest[0]) else int(rng.integers(len(vectors)))
        nearest = np.minimum(nearest, ((vectors - vectors[row]) ** 2).sum(axis=1))
        nearest[row] = -1.0  # nearer than anything else can be: never again
        chosen.append(row)
    return np.array(chosen, dtype=np.int64)
