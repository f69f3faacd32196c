"""From logits to probabilities that mean what they say: one learned temperature a task, and two models' logits joined.

Guo et al. (2017), "On calibration of modern neural networks", section 4.2. Truth is softened by two imagined examples
(of two outcomes one each, as Platt 1999, section 2.2, has it; of more a part each, for one each would drown few real
ones), and a temperature is thought to be near 1 (normal in its logarithm, with deviation 1), so that a few faultless
examples do not claim certainty.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax

from aisle.contracts import Float32Array
from aisle.language.labelled_texts import Truth

_RANGE = (0.05, 20.0)
_LARGEST_LOG_ODDS = 4.0


def probabilities(logits: Float32Array, temperature: float, *, is_one_of: bool) -> Float32Array:
    """(n, n_labels) float32; rows sum to 1 where exactly one label is right."""
    cooled = logits.astype(np.float64) / temperature
    return (softmax(cooled, axis=1) if is_one_of else expit(cooled)).astype(np.float32)


def fit_temperature(logits: Float32Array, truth: Truth, weights: Float32Array, *, is_one_of: bool) -> float:
    """What to divide logits by for the least loss; above 1 where the model is too sure. 1.0 without labelled rows.

    Args:
        logits: (n, n_labels) of texts that were not learned from.
        truth: of the same texts.
        weights: (2, n_labels) as in ``heads.losses``, so that what was learned balanced is calibrated balanced.
        is_one_of: exactly one label is right.
    """
    return _fitted(logits, truth, weights, is_one_of=is_one_of)[0]


def fit_share(one: Float32Array, other: Float32Array, truth: Truth, weights: Float32Array, *, is_one_of: bool) -> float:
    """What ``one`` counts beside ``other``, 0 to 1: share x one + (1 - share) x other has the least loss.

    Both are calibrated already, so that the surer of two models says more even at 0.5, the share before anything is
    seen (a logarithmic opinion pool, Genest and Zidek 1986). Its log-odds are thought to be normal with deviation 1:
    ten rows hardly move it, a hundred tell a model that adds nothing.

    Args:
        one: (n, n_labels) logits of texts that neither model learned from.
        other: of the same texts.
        truth: of the same texts.
        weights: as ``fit_temperature`` takes them.
        is_one_of: exactly one label is right.
    """

    def loss(log_odds: float) -> float:
        share = float(expit(log_odds))
        mixed = (share * one + (1.0 - share) * other).astype(np.float32)
        return _fitted(mixed, truth, weights, is_one_of=is_one_of)[1] + log_odds**2 / 2.0

    return float(expit(_least(loss, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)[0]))


def _fitted(logits: Float32Array, truth: Truth, weights: Float32Array, *, is_one_of: bool) -> tuple[float, float]:
    """The temperature of the least loss, and that loss."""
    known = truth.is_known
    n = int(known.sum())
    if not n:
        return 1.0, 0.0
    found, true = logits[known].astype(np.float64), truth.values[known].astype(np.float64)
    soft = (n * true + (2.0 / true.shape[1] if is_one_of else 1.0)) / (n + 2.0)

    def loss(log_temperature: float) -> float:
        cooled = found / np.exp(log_temperature)
        doubt = log_temperature**2 / 2.0
        if is_one_of:
            # (n, 1): a balanced row counts by its label, softened or not
            of_row = (weights[1] * true).sum(axis=1, keepdims=True)
            return float(-(of_row * soft * log_softmax(cooled, axis=1)).sum()) + doubt
        present, absent = true * weights[1], (1.0 - true) * weights[0]
        each = soft * log_expit(cooled) + (1.0 - soft) * log_expit(-cooled)
        return float(-((present + absent) * each).sum()) + doubt

    best, least = _least(loss, np.log(_RANGE[0]), np.log(_RANGE[1]))
    return float(np.exp(best)), least


def _least(loss: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Where it is least, and how much it is there."""
    found = minimize_scalar(loss, bounds=(low, high), method="bounded")
    return float(found.x), float(found.fun)  # pyright: ignore[reportAttributeAccessIssue]
