"""Whether a ranker may answer: judged on the latest lists, none of which it has seen.

Enters: a ranker, the earlier examples it was fitted on, the later ones it was not, the version that answers now.
Leaves: a ``Verdict``. Lists were shown in somebody's order and looked at from the top, so what is compared is corrected
for the place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Ranker
from aisle.domain import Candidates, Examples, Features, Request
from aisle.evaluation import Interval, paired_difference
from aisle.evaluation.probability_metrics import auc, calibration_error
from aisle.ranking.features import FUSED, code_of
from aisle.ranking.position import placement_codes

Floats = NDArray[np.float64]

LARGEST_CALIBRATION_ERROR = 0.02
LEAST_EXAMINED = 0.02
"""No place counts more than 50 times the first one when clicks are corrected for their places."""
PASSED = "passed"
CALIBRATION_OF = "calibration_error."
"""Before a placement's name: the calibration error on its lists alone."""
ORDER_GAIN = "order_gain_over_fused"
"""Metrics ``order_gain_over_fused.NAME``, ``..._low.NAME`` and ``..._high.NAME`` tell of a placement's lists alone."""
PLACEMENT_LEVEL = 0.8
"""Of those intervals: one wholly below 0 says with nine chances in ten that the fused order is better there."""
LEAST_UNSEEN = 200
"""With fewer later lists that the version in service has not learned from, nothing is compared with it."""
ROWS_AT_ONCE = 10_000
ANY_ROW = 0
"""Stands for whatever item it was: probabilities rest on features only."""


@dataclass(frozen=True)
class Verdict:
    """Figures, each a plain number, and what they fall short of in words; nothing to say means that it passed."""

    metrics: dict[str, float]
    shortcomings: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        """Whether the ranker may answer."""
        return not self.shortcomings


@dataclass(frozen=True)
class InService:
    """The version that answers now: where it ranks, and when the newest list was shown that it has learned from."""

    ranker: Ranker
    placements: frozenset[str]
    seen_until_ms: float


@dataclass(frozen=True)
class Said:
    """What a ranker says of the later examples, (n,) each: clicks and purchases in the first slot, clicks where shown.

    ``looked``: how much less their places are looked at than the first.
    """

    first: Floats
    purchase: Floats
    looked: Floats
    click: Floats

    @classmethod
    def by(cls, ranker: Ranker, earlier: Examples, later: Examples) -> Said:
        """Ask ``ranker``; what it says of the earlier examples tells how much each place is looked at."""
        first_earlier, _ = probabilities(ranker, earlier)
        first, purchase = probabilities(ranker, later)
        examined = examination(earlier, first_earlier)
        looked = examined[np.minimum(later.slots, len(examined) - 1)]
        return cls(first, purchase, looked, np.clip(first * looked, 1e-6, 1.0 - 1e-6))


def judge(
    ranker: Ranker,
    earlier: Examples,
    later: Examples,
    rng: np.random.Generator,
    placements: Sequence[str] = (),
    service: InService | None = None,
) -> Verdict:
    """Compare with base rates by place, with the fused order and with the version in service; check calibration.

    The probability of a click in a place is the one in the first slot times how much less that place is looked at,
    which ``earlier`` tells. Intervals are over lists, at 95%. Of each of ``placements``, where the ranker is to rank,
    calibration error and order are told as well. With few lists the error is large by chance alone, so that only the
    one of all lists decides; where the order is clearly worse than the fused one (``is_worse_in``) it should not rank.
    """
    said = Said.by(ranker, earlier, later)
    first, purchase, looked, predicted = said.first, said.purchase, said.looked, said.click
    base = np.clip(base_rates(earlier, later), 1e-6, 1.0 - 1e-6)
    clicks = later.is_click
    gain = paired_difference(
        by_list(later, losses(clicks, base)), by_list(later, losses(clicks, predicted)), rng, method="percentile"
    )
    fused = later.features.aligned((FUSED,))[:, 0].astype(np.float64)
    own_order, fused_order = reordered_gain(later, first, looked), reordered_gain(later, fused, looked)
    order = paired_difference(own_order, fused_order, rng, method="percentile")
    of_placements = order_gains(later, own_order, fused_order, placements, rng)
    error = calibration_error(clicks, predicted)
    served = [name for name in placements if not is_worse_in(name, of_placements)]
    over_service = {} if service is None else gains_over(service, said, served, earlier, later, rng)
    at_top = later.slots == 0
    metrics = {
        "n_held_out_lists": float(len(np.unique(later.lists))),
        "n_held_out_clicks": float(clicks.sum()),
        "log_loss": float(losses(clicks, predicted).mean()),
        "base_log_loss": float(losses(clicks, base).mean()),
        **numbers("log_loss_gain", gain),
        "click_auc": auc(clicks, predicted),
        "purchase_auc": auc(later.is_purchase, np.clip(purchase * looked * later.purchase_known, 0.0, 1.0)),
        **purchase_figures(later, first, purchase),
        "order_gain": float(np.nanmean(own_order)) if len(own_order) else float("nan"),
        "fused_order_gain": float(np.nanmean(fused_order)) if len(fused_order) else float("nan"),
        **numbers(ORDER_GAIN, order),
        **of_placements,
        **{name: value for what, interval in over_service.items() for name, value in numbers(what, interval).items()},
        "calibration_error": error,
        **calibration_errors(later, predicted, placements),
        "first_slot_predicted": float(first[at_top].mean()) if at_top.any() else float("nan"),
        "first_slot_observed": float(clicks[at_top].mean()) if at_top.any() else float("nan"),
    }
    found = shortcomings(gain, order, error, over_service)
    known = {name: value for name, value in metrics.items() if np.isfinite(value)}
    return Verdict({**known, PASSED: float(not found)}, found)


def calibration_errors(later: Examples, predicted: Floats, placements: Sequence[str]) -> dict[str, float]:
    """The calibration error of each placement that has examples, as metrics."""
    codes = placement_codes(later)
    at = {name: codes == np.float32(code_of(name)) for name in placements}
    return {
        f"{CALIBRATION_OF}{name}": calibration_error(later.is_click[here], predicted[here])
        for name, here in at.items()
        if here.any()
    }


def order_gains(
    later: Examples, own_order: Floats, fused_order: Floats, placements: Sequence[str], rng: np.random.Generator
) -> dict[str, float]:
    """By how much the order of each placement that has clicks is better than the fused one, as metrics."""
    lists, at = np.unique(later.lists, return_index=True)
    codes = placement_codes(later)[at][np.isin(lists, later.lists[later.is_click])]
    found = {}
    for name in placements:
        here = codes == np.float32(code_of(name))
        if here.any():
            gain = paired_difference(
                own_order[here], fused_order[here], rng, level=PLACEMENT_LEVEL, method="percentile"
            )
            found |= {f"{what}.{name}": value for what, value in numbers(ORDER_GAIN, gain).items()}
    return found


def is_worse_in(placement: str, metrics: Mapping[str, float]) -> bool:
    """Whether the order was clearly worse there than the fused one."""
    return metrics.get(f"{ORDER_GAIN}_high.{placement}", 0.0) < 0.0


def gains_over(
    service: InService,
    said: Said,
    placements: Collection[str],
    earlier: Examples,
    later: Examples,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """By how much log loss and order are better than those of the version in service, each ranking where it does.

    On lists that neither has learned from. Nothing where these are too few: on lists that it remembers, the version in
    service would always win, and nothing could be trained anew from the same lists.
    """
    unseen = later.times_ms > service.seen_until_ms
    if len(np.unique(later.lists[unseen])) < LEAST_UNSEEN:
        return {}
    judged, theirs = later.where(unseen), Said.by(service.ranker, earlier, later)
    ours, looked = losses(later.is_click, said.click), said.looked[unseen]
    return {
        "log_loss_gain_over_service": paired_difference(
            by_list(judged, losses(later.is_click, theirs.click)[unseen]),
            by_list(judged, ours[unseen]),
            rng,
            method="percentile",
        ),
        "order_gain_over_service": paired_difference(
            reordered_gain(judged, ranking(later, said.first, placements)[unseen], looked),
            reordered_gain(judged, ranking(later, theirs.first, service.placements)[unseen], looked),
            rng,
            method="percentile",
        ),
    }


def ranking(examples: Examples, first: Floats, placements: Collection[str]) -> Floats:
    """What decides the order of each list: ``first`` in these placements, elsewhere the fused score. (n,)"""
    codes = np.array([code_of(name) for name in placements], dtype=np.float32)
    return np.where(np.isin(placement_codes(examples), codes), first, examples.features.aligned((FUSED,))[:, 0])


def purchase_figures(later: Examples, first: Floats, purchase: Floats) -> dict[str, float]:
    """Purchases after the clicks that were, and those expected of them by now, as metrics."""
    clicked = later.is_click
    by_now = np.clip(purchase[clicked] / np.maximum(first[clicked], 1e-9), 0.0, 1.0) * later.purchase_known[clicked]
    bought = later.is_purchase[clicked]
    return {
        "n_held_out_purchases": float(bought.sum()),
        "n_expected_purchases": float(by_now.sum()),
        "purchase_calibration_error": calibration_error(bought, by_now),
    }


def shortcomings(
    gain: Interval, order: Interval, error: float, over_service: Mapping[str, Interval]
) -> tuple[str, ...]:
    """In words, what keeps a ranker from answering."""
    found = []
    if not gain.low > 0.0:
        found.append(
            f"its click probabilities are not clearly better than base rates (log loss {gain.value:+.4f} better, "
            f"interval {gain.low:+.4f} to {gain.high:+.4f})"
        )
    if not order.low > 0.0:
        found.append(
            f"its order is not clearly better than the fused one ({order.value:+.4f}, interval {order.low:+.4f} to "
            f"{order.high:+.4f})"
        )
    if not error < LARGEST_CALIBRATION_ERROR:
        found.append(f"its calibration error is {error:.4f}; allowed is less than {LARGEST_CALIBRATION_ERROR}")
    for what, of_service in over_service.items():
        if of_service.high < 0.0:
            found.append(
                f"the version in service is clearly better ({what} {of_service.value:+.4f}, interval "
                f"{of_service.low:+.4f} to {of_service.high:+.4f})"
            )
    return tuple(found)


def probabilities(ranker: Ranker, examples: Examples) -> tuple[Floats, Floats]:
    """Click and purchase in the first slot, (n,) each. Which items they were does not matter to either."""
    found = [np.empty((0, 2))]
    request = Request("gate", 0)
    for start in range(0, len(examples), ROWS_AT_ONCE):
        values = examples.features.values[start : start + ROWS_AT_ONCE]
        n = len(values)
        candidates = Candidates(np.full(n, ANY_ROW), np.empty((n, 0), np.float32), (), np.zeros(n, np.float32))
        (outcomes,) = ranker.predict([request], [candidates], [Features(examples.features.names, values)])
        wanted = [outcomes.names.index(name) for name in ("click", "purchase")]
        found.append(outcomes.values[:, wanted].astype(np.float64))
    click, purchase = np.concatenate(found).T
    return click, purchase


def examination(examples: Examples, first: Floats) -> Floats:
    """How much each place is looked at, the first being 1: clicks by clicks expected there if it were the first.

    (n_places,), never rising; places are taken together where there are few clicks.
    """
    n_places = int(examples.slots.max(initial=0)) + 1
    clicks = np.bincount(examples.slots, examples.is_click, minlength=n_places)
    expected = np.bincount(examples.slots, first, minlength=n_places)
    # A few clicks' worth of what the places above have, so that a rare place does not say nothing or everything.
    found = np.ones(n_places)
    for place in range(1, n_places):
        before = found[place - 1]
        found[place] = min(before, (clicks[place] + 5.0 * before) / (expected[place] + 5.0))
    return np.maximum(found, LEAST_EXAMINED)


def base_rates(earlier: Examples, later: Examples) -> Floats:
    """The click rate of each later example's placement and place among the earlier ones, smoothed. (n,)"""
    overall = float(earlier.is_click.mean())
    codes, codes_later = placement_codes(earlier), placement_codes(later)
    rates = np.full(len(later), overall)
    for code in np.unique(codes_later[np.isfinite(codes_later)]):
        at, at_later = codes == code, codes_later == code
        n_places = int(max(earlier.slots.max(initial=0), later.slots.max(initial=0))) + 1
        shown = np.bincount(earlier.slots[at], minlength=n_places)
        clicks = np.bincount(earlier.slots[at], earlier.is_click[at], minlength=n_places)
        rates[at_later] = ((clicks + 20.0 * overall) / (shown + 20.0))[later.slots[at_later]]
    return rates


def reordered_gain(examples: Examples, scores: Floats, looked: Floats) -> Floats:
    """For each list with a click: the clicks' worth if it were ordered by ``scores``. (lists with clicks,)

    A click at a place that is looked at with chance p counts 1 / p, and is worth ``1 / log2(1 + rank)`` at its new rank
    (Joachims, Swaminathan & Schnabel 2017, "Unbiased learning-to-rank with biased feedback").
    """
    order = np.lexsort((-scores, examples.lists))
    lists = examples.lists[order]
    starts = np.flatnonzero(np.concatenate([[True], lists[1:] != lists[:-1]])) if len(lists) else np.empty(0, np.int64)
    rank = np.arange(len(lists)) - np.repeat(starts, np.diff(np.concatenate([starts, [len(lists)]])))
    worth = examples.is_click[order] / looked[order] / np.log2(2.0 + rank)
    totals = np.add.reduceat(worth, starts) if len(starts) else np.empty(0)
    return totals[totals > 0]


def losses(labels: NDArray[np.bool_], probability: Floats) -> Floats:
    """Log loss of each row. (n,)"""
    return -np.log(np.where(labels, probability, 1.0 - probability))


def by_list(examples: Examples, values: Floats) -> Floats:
    """Mean of ``values`` over each list. (n_lists,)"""
    _, at = np.unique(examples.lists, return_inverse=True)
    return np.bincount(at, values) / np.bincount(at)


def numbers(name: str, interval: Interval) -> dict[str, float]:
    """An interval as three metrics."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
