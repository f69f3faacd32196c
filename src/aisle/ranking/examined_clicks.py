"""The likelihood of clicks that need a look first: examination x attraction.

Enters: log-odds of a click by who looks, log-probabilities of looking, what happened. Leaves: losses and their slopes.
``P(click) = exp(log_examined) x expit(log_odds)``, the position-based model (Craswell et al. 2008, "An experimental
comparison of click position-bias models"); with ``log_examined`` 0 it is a logistic regression.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

_LEAST = 1e-9
"""A probability of no click below this is taken for this in slopes."""


def losses(log_odds: Floats, log_examined: Floats, labels: Floats) -> Floats:
    """Log loss of each row, (n,); ``labels`` 0 to 1. Exact for large odds of either sign."""
    not_clicked = np.logaddexp(0.0, log_odds + _log_passed_over(log_examined)) - np.logaddexp(0.0, log_odds)
    clicked = log_examined - np.logaddexp(0.0, -log_odds)
    return -(labels * clicked + (1.0 - labels) * not_clicked)


def slopes(log_odds: Floats, log_examined: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """Derivatives of the losses by ``log_odds`` and by ``log_examined``, (n,) each."""
    click = np.exp(log_examined) * expit(log_odds)
    by_odds = (click - labels) * _told(log_odds, log_examined)
    return by_odds, (click - labels) / np.maximum(1.0 - click, _LEAST)


def expected_curvature(log_odds: Floats, log_examined: Floats) -> Floats:
    """Fisher information of each row on ``log_odds``, (n,), which stands in for the second derivative."""
    click = np.exp(log_examined) * expit(log_odds)
    return click * expit(-log_odds) * _told(log_odds, log_examined)


def _told(log_odds: Floats, log_examined: Floats) -> Floats:
    """``P(not attracted) / P(no click)``: how surely who did not click had looked; 1 where everybody looks."""
    return expit(-(log_odds + _log_passed_over(log_examined)))


def _log_passed_over(log_examined: Floats) -> Floats:
    with np.errstate(divide="ignore"):  # nobody passes over what everybody looks at: log 0
        return np.log(-np.expm1(np.minimum(log_examined, 0.0)))
