"""From logits to probabilities that mean what they say: one learned temperature a task.

Guo et al. (2017), "On calibration of modern neural networks", section 4.2. Truth is softened by one imagined example of
every outcome (as Platt 1999, section 2.2, does), so that a few faultless examples do not claim certainty.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax

from aisle.contracts import Float32Array
from aisle.language.labelled_texts import Truth

_RANGE = (0.05, 20.0)


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
    known = truth.is_known
    n = int(known.sum())
    if not n:
        return 1.0
    found, true = logits[known].astype(np.float64), truth.values[known].astype(np.float64)
    n_outcomes = true.shape[1] if is_one_of else 2
    soft = (n * true + 1.0) / (n + n_outcomes)

    def loss(log_temperature: float) -> float:
        cooled = found / np.exp(log_temperature)
        if is_one_of:
            # (n, 1): a balanced row counts by its label, softened or not
            of_row = (weights[1] * true).sum(axis=1, keepdims=True)
            return float(-(of_row * soft * log_softmax(cooled, axis=1)).sum())
        present, absent = true * weights[1], (1.0 - true) * weights[0]
        each = soft * log_expit(cooled) + (1.0 - soft) * log_expit(-cooled)
        return float(-((present + absent) * each).sum())

    best = minimize_scalar(loss, bounds=(np.log(_RANGE[0]), np.log(_RANGE[1])), method="bounded")
    return float(np.exp(best.x))  # pyright: ignore[reportAttributeAccessIssue]
