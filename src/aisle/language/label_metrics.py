"""How well probabilities of labels meet the truth.

Enters: what is true and the probabilities, (n, n_labels) each. Leaves: figures. Knows nothing of texts or models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from aisle.contracts import Float32Array
from aisle.language.finetune_config import Metric

BoolArray = NDArray[np.bool_]

_BINS = 10
_LEAST = 1e-7
"""Probabilities are kept so far from 0 and 1 that one wrong certainty does not make ``log_loss`` infinite."""


def measure(truth: Float32Array, probabilities: Float32Array, *, is_one_of: bool) -> dict[str, float]:
    """``accuracy``, ``macro_f1``, ``auc``, ``log_loss`` and ``calibration_error``.

    Args:
        truth: (n, n_labels) 1 where a label is right, else 0; at least one row.
        probabilities: (n, n_labels).
        is_one_of: exactly one label is right and the likeliest one is said, the first of equals; otherwise every label
            of at least 0.5 is said.
    """
    is_true = truth > 0.5
    said = _likeliest(probabilities) if is_one_of else probabilities >= 0.5
    return {
        "accuracy": accuracy(is_true, said, is_one_of=is_one_of),
        "macro_f1": macro_f1(is_true, said),
        "auc": auc(is_true, probabilities),
        "log_loss": log_loss(is_true, probabilities, is_one_of=is_one_of),
        "calibration_error": calibration_error(is_true, probabilities, is_one_of=is_one_of),
    }


def is_better_by(metric: Metric, found: Mapping[str, float], before: Mapping[str, float]) -> bool:
    """Whether ``found`` is better than ``before``; equal is not."""
    return found[metric] < before[metric] if metric == "log_loss" else found[metric] > before[metric]


def accuracy(is_true: BoolArray, said: BoolArray, *, is_one_of: bool) -> float:
    """Share of the texts whose label is said; where several may be right, share of right yes-or-no answers."""
    right = is_true == said
    return float(right.all(axis=1).mean() if is_one_of else right.mean())


def macro_f1(is_true: BoolArray, said: BoolArray) -> float:
    """Mean over labels of F1; labels that are neither right nor said anywhere are left out, 1 where none is left."""
    both = (is_true & said).sum(axis=0)
    each = is_true.sum(axis=0) + said.sum(axis=0)
    occurs = each > 0
    return float((2.0 * both[occurs] / each[occurs]).mean()) if occurs.any() else 1.0


def auc(is_true: BoolArray, probabilities: Float32Array) -> float:
    """Mean over labels of the chance that a text with the label has a higher probability of it than one without.

    Ties count half. Labels that all texts have, or none, are left out; 0.5, which tells nothing, where none is left.
    """
    found = []
    for right, scores in zip(is_true.T, probabilities.T, strict=True):
        n_right, n_wrong = int(right.sum()), int((~right).sum())
        if n_right and n_wrong:
            above = rankdata(scores)[right].sum() - n_right * (n_right + 1) / 2
            found.append(above / (n_right * n_wrong))
    return float(np.mean(found)) if found else 0.5


def log_loss(is_true: BoolArray, probabilities: Float32Array, *, is_one_of: bool) -> float:
    """Mean over texts (over texts and labels, where several may be right) of minus the log-probability of the truth."""
    sure = np.clip(probabilities.astype(np.float64), _LEAST, 1.0 - _LEAST)
    if is_one_of:
        return float(-np.log(sure[is_true]).mean())
    return float(-np.log(np.where(is_true, sure, 1.0 - sure)).mean())


def calibration_error(is_true: BoolArray, probabilities: Float32Array, *, is_one_of: bool) -> float:
    """Mean distance of probability and how often it came true, over ten bins of equal mass, weighted by texts.

    Of the likeliest label where exactly one is right, else of all labels. Nixon et al. (2019), "Measuring calibration
    in deep learning"; equal probabilities share a bin.
    """
    if is_one_of:
        sure, came_true = probabilities.max(axis=1), is_true[_likeliest(probabilities)]
    else:
        sure, came_true = probabilities.ravel(), is_true.ravel()
    _, place, sizes = np.unique(sure, return_inverse=True, return_counts=True)
    n_below = (np.cumsum(sizes) - sizes)[place]
    bins = n_below * _BINS // len(sure)
    gaps = np.bincount(bins, weights=sure.astype(np.float64) - came_true, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(sure))


def of_all_tasks(by_task: Mapping[str, Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """Figures as ``task/name``, and under ``name`` the mean over tasks by ``weights``."""
    told = {f"{task}/{name}": value for task, values in by_task.items() for name, value in values.items()}
    for name in next(iter(by_task.values()), {}):
        told[name] = float(np.average([values[name] for values in by_task.values()], weights=list(weights)))
    return told


def _likeliest(probabilities: Float32Array) -> BoolArray:
    said = np.zeros(probabilities.shape, dtype=np.bool_)
    said[np.arange(len(said)), probabilities.argmax(axis=1)] = True
    return said
