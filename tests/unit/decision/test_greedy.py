import numpy as np

from aisle.decision import Greedy
from aisle.domain import Candidates, Outcomes, Query, Request
from aisle.ranking import FusedScore
from aisle.testing import tiny_shop


def test_the_most_useful_come_first_and_say_where_they_came_from():
    shop = tiny_shop()
    rows = np.array([2, 0, 1])
    scores = np.array([[3.0, np.nan], [2.0, 1.0], [np.nan, 1.0]], dtype=np.float32)
    found = Candidates(rows, scores, ("linear", "popular"), np.array([3, 2, 1], dtype=np.float32))
    request = Request("home", 5, query=Query("tea"), size=2, anchor_rows=np.array([4]))
    (outcomes,) = FusedScore().predict([request], [found])

    slate = Greedy(shop.catalogue).select(request, found, outcomes, "s1")

    assert slate.item_ids == tuple(shop.catalogue.ids([2, 0]))
    assert [slot.scores for slot in slate.slots] == [{"linear": 3.0}, {"linear": 2.0, "popular": 1.0}]
    assert {slot.propensity for slot in slate.slots} == {1.0}
    assert (slate.query, slate.anchor_item_ids) == ("tea", tuple(shop.catalogue.ids([4])))
    assert slate.versions == {"policy": "greedy", "ranker": "fused-score"}


def test_weights_decide_and_ties_keep_the_order():
    shop = tiny_shop()
    found = Candidates.of_one("a", np.array([0, 1, 2]), np.array([3.0, 2.0, 1.0]))
    values = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    policy = Greedy(shop.catalogue, weights={"purchase": 2.0})

    slate = policy.select(Request("home", 5), found, Outcomes(("click", "purchase"), values, "m"), "s")

    assert slate.item_ids == tuple(shop.catalogue.ids([1, 2, 0]))
