from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisle.decision import ObjectivePolicy, plain_slate, unpredicted
from aisle.domain import (
    OUTCOME_NAMES,
    Candidates,
    Catalogue,
    Features,
    Item,
    ItemTable,
    ItemText,
    Outcomes,
    Query,
    Request,
)
from aisle.domain.steering import PinnedRow, Steering
from aisle.ranking import FusedScore
from aisle.settings import ExploreConfig, PlacementConfig
from aisle.testing import tiny_shop

PLAIN = PlacementConfig(sources=("a",))


@pytest.fixture(scope="module")
def catalogue():
    """60 items in 4 categories and 3 brands."""
    return Catalogue(
        ItemTable.from_rows(
            Item(
                item_id=f"i{n}",
                texts=(ItemText(language="en", title=f"item {n}"),),
                category=("shop", f"c{n % 4}"),
                brand=f"b{n % 3}",
            )
            for n in range(60)
        )
    )


@dataclass
class Vectors:
    """A unit vector an item row."""

    of_row: np.ndarray

    def item_vectors(self, item_rows):
        return self.of_row[item_rows]


def unit(rng, n, dimension=8):
    vectors = rng.normal(size=(n, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def candidates_of(scores):
    return Candidates.of_one("a", np.arange(len(scores)), np.asarray(scores, dtype=np.float32))


def chosen_by(policy, found, placement=PLAIN, size=10, slate_id="s"):
    request = Request("home", 5, size=size)
    (outcomes,) = FusedScore().predict([request], [found], [])
    return policy.select(request, found, outcomes, placement, slate_id)


def test_a_slate_says_where_its_items_came_from_and_what_was_known_of_them():
    shop = tiny_shop()
    rows = np.array([2, 0, 1])
    scores = np.array([[3.0, np.nan], [2.0, 1.0], [np.nan, 1.0]], dtype=np.float32)
    found = Candidates(rows, scores, ("linear", "popular"), np.array([3, 2, 1], dtype=np.float32))
    request = Request("home", 5, query=Query("tea"), size=2, anchor_rows=np.array([4]))
    values = np.array([[0.5, 0.25, 0, 0], [0.5, 0, 0, 0], [1, 0.5, 0, 0]], dtype=np.float32)
    known = Features(("age",), np.array([[1], [2], [3]], dtype=np.float32))

    slate = ObjectivePolicy(shop.catalogue).select(
        request, found, Outcomes(OUTCOME_NAMES, values, "trees-7"), PLAIN, "s1", known
    )

    assert slate.item_ids == tuple(shop.catalogue.ids([1, 2]))
    assert [slot.scores for slot in slate.slots] == [{"popular": 1.0}, {"linear": 3.0}]
    assert slate.slots[0].outcomes == {"click": 1.0, "purchase": 0.5, "revenue": 0.0, "margin": 0.0}
    assert [slot.utility for slot in slate.slots] == [3.5, 1.75]  # click + 5 x purchase
    assert {slot.propensity for slot in slate.slots} == {1.0}
    assert (slate.query, slate.anchor_item_ids) == ("tea", tuple(shop.catalogue.ids([4])))
    assert slate.versions["ranker"] == "trees-7"
    assert slate.features is not None
    assert slate.features.values[:, 0].tolist() == [3, 1]


def test_the_objective_decides_and_ties_keep_the_order(catalogue):
    found = candidates_of([3.0, 2.0, 1.0])
    outcomes = Outcomes(("click", "purchase"), np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32), "m")
    request = Request("home", 5)
    policy = ObjectivePolicy(catalogue)

    def order(**weights: Any):
        placement = PlacementConfig.parse({"sources": ["a"], "objective": weights}, "placement.a")
        return policy.select(request, found, outcomes, placement, "s").item_ids

    assert order(purchase=2.0) == ("i1", "i2", "i0")
    assert order(click=2.0) == ("i0", "i1", "i2")
    assert order(margin=1.0) == ("i0", "i1", "i2")  # nobody predicted it: all are worth 0


def test_what_is_weighed_but_not_predicted_is_named():
    values = np.zeros((1, 2), dtype=np.float32)
    placement = PlacementConfig(sources=("a",), objective={"click": 1.0, "revenue": 0.0, "margin": 2.0})

    assert unpredicted(Outcomes(("click", "purchase"), values, "m"), placement) == ("margin",)
    assert unpredicted(Outcomes(("score",), values[:, :1], "m"), placement) == ()


def test_without_a_trained_ranker_the_fused_score_is_the_utility(catalogue):
    slate = chosen_by(ObjectivePolicy(catalogue), candidates_of([1.0, 3.0, 2.0]))

    assert slate.item_ids == ("i1", "i2", "i0")
    assert [slot.utility for slot in slate.slots] == [3.0, 2.0, 1.0]


def test_the_version_follows_the_settings_that_choose():
    shop = tiny_shop()
    found = candidates_of([1.0, 2.0])

    def version(**settings):
        placement = PlacementConfig(sources=("a",), **settings)
        return chosen_by(ObjectivePolicy(shop.catalogue), found, placement).versions["policy"]

    assert version() == version(size=3)
    assert len({version(), version(diversity=0.1), version(objective={"click": 2.0})}) == 3
    assert version(explore=ExploreConfig(share=0.1)) != version()


@given(
    scores=st.lists(st.floats(-5, 5, width=32), max_size=60),
    size=st.integers(1, 80),
    diversity=st.sampled_from([0.0, 0.2, 1.0]),
    share=st.sampled_from([0.0, 0.1, 0.5]),
    pool=st.integers(2, 100),
    with_vectors=st.booleans(),
    slate_id=st.text(max_size=5),
)
def test_every_list_has_its_size_no_item_twice_and_only_candidates(
    catalogue, scores, size, diversity, share, pool, with_vectors, slate_id
):
    vectors = Vectors(unit(np.random.default_rng(0), 60))
    vectors.of_row[7] = np.nan  # one item that was never encoded
    policy = ObjectivePolicy(catalogue, lambda: vectors if with_vectors else None)
    placement = PlacementConfig(sources=("a",), diversity=diversity, explore=ExploreConfig(share=share, pool=pool))
    found = candidates_of(scores)

    slate = chosen_by(policy, found, placement, size, slate_id)

    assert len(slate.slots) == min(size, len(scores))
    assert len(set(slate.item_ids)) == len(slate.slots)
    assert set(slate.item_ids) <= set(catalogue.ids(found.item_rows))
    assert slate == chosen_by(policy, found, placement, size, slate_id)
    if not diversity and not share:
        assert slate.item_ids == tuple(catalogue.ids(found.item_rows))[:size]


def test_without_diversity_and_chance_all_ways_lead_to_sorting(catalogue):
    """The loop that picks one by one, with next to no diversity, gives the sorted list too."""
    found = candidates_of(np.random.default_rng(1).permutation(60))
    policy = ObjectivePolicy(catalogue, lambda: Vectors(unit(np.random.default_rng(2), 60)))

    nearly = chosen_by(policy, found, PlacementConfig(sources=("a",), diversity=1e-6))

    assert nearly.item_ids == chosen_by(policy, found).item_ids


@pytest.mark.parametrize("with_vectors", [True, False])
def test_more_diversity_gives_lists_that_are_less_alike_and_less_useful(catalogue, with_vectors):
    rng = np.random.default_rng(3)
    vectors = unit(rng, 60)
    policy = ObjectivePolicy(catalogue, lambda: Vectors(vectors) if with_vectors else None)
    steps = (0.0, 0.3, 0.6, 0.9)
    alike, useful = np.zeros(len(steps)), np.zeros(len(steps))
    for _ in range(40):
        # Useful items are alike: utility follows the first number of the vector, or the category.
        leaning = vectors[:, 0] if with_vectors else -(np.arange(60) % 4) / 2.0
        found = candidates_of(leaning + rng.normal(0, 0.3, size=60))
        for step, diversity in enumerate(steps):
            slate = chosen_by(policy, found, PlacementConfig(sources=("a",), diversity=diversity), size=8)
            rows = catalogue.rows(slate.item_ids)
            if with_vectors:
                cosines = vectors[rows] @ vectors[rows].T
                alike[step] += np.maximum(cosines, 0)[np.triu_indices(8, 1)].mean()
            else:
                alike[step] += 8 - len(set((rows % 4).tolist()))
            useful[step] += sum(slot.utility for slot in slate.slots)

    assert (np.diff(alike) <= 0).all()
    assert alike[-1] < 0.8 * alike[0]
    assert (np.diff(useful) <= 1e-3).all()
    assert useful[-1] < useful[0]


def test_a_varied_list_by_hand(catalogue):
    """(1 - d) u - d s: with d = 0.5 the twin of the best gives way to the least useful item that is unlike it."""
    vectors = Vectors(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32))
    policy = ObjectivePolicy(catalogue, lambda: vectors)
    found = candidates_of([1.0, 0.9, 0.5])  # utilities in 0..1: 1, 0.8, 0

    # After i0: i1 has 0.5 x 0.8 - 0.5 x 1 = -0.1, i2 has 0.5 x 0 - 0 = 0.
    assert chosen_by(policy, found, PlacementConfig(sources=("a",), diversity=0.5)).item_ids == ("i0", "i2", "i1")
    # d = 0.4: i1 has 0.6 x 0.8 - 0.4 = 0.08, i2 has 0.
    assert chosen_by(policy, found, PlacementConfig(sources=("a",), diversity=0.4)).item_ids == ("i0", "i1", "i2")


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("diversity", [0.0, 0.3])
def test_what_the_query_names_stands_first_for_certain(catalogue, share, diversity):
    found = candidates_of([1.0, 0.5, 3.0, 2.0])
    placement = PlacementConfig(sources=("a",), diversity=diversity, explore=ExploreConfig(share=share))
    request = Request("search", 5, named_rows=np.array([1, 7]), size=3)
    (outcomes,) = FusedScore().predict([request], [found], [])

    slate = ObjectivePolicy(catalogue).select(request, found, outcomes, placement, "s")

    assert slate.item_ids[0] == "i1"
    assert (slate.slots[0].propensity, slate.slots[0].utility) == (1.0, 0.5)
    assert len(set(slate.item_ids)) == 3
    if not share and not diversity:
        assert slate.item_ids == ("i1", "i2", "i3")


def test_the_plain_list_needs_nothing_but_candidates(catalogue):
    request = Request("home", 5, size=2)

    slate = plain_slate(request, candidates_of([1.0, 3.0, 2.0]), catalogue, "s")

    assert slate.item_ids == ("i1", "i2")
    assert [slot.propensity for slot in slate.slots] == [1.0, 1.0]
    assert slate.versions == {"policy": "plain"}


def steered(
    pins=(), weights=None, size=5, named=(), placement=PLAIN, scores=(5.0, 4.0, 3.0, 2.0, 1.0, 0.5), slate_id="s"
):
    steering = Steering(
        rule_ids=("r",), pins=tuple(PinnedRow(row, slot, f"r{slot}") for row, slot in pins), weights=weights or {}
    )
    request = Request("home", 5, size=size, steering=steering, named_rows=np.array(named, dtype=np.int64))
    found = candidates_of(scores)
    (outcomes,) = FusedScore().predict([request], [found], [])
    return request, found, outcomes, placement, slate_id


def test_pinned_items_stand_in_their_slots_around_the_others(catalogue):
    slate = ObjectivePolicy(catalogue).select(*steered(pins=((4, 1), (5, 0))))

    assert slate.item_ids == ("i5", "i4", "i0", "i1", "i2")
    assert [slot.placed_by for slot in slate.slots] == ["r0", "r1", None, None, None]


def test_the_first_of_two_pins_wins_and_what_was_not_found_or_lies_behind_the_end_is_passed_over(catalogue):
    policy = ObjectivePolicy(catalogue)

    assert policy.select(*steered(pins=((4, 0), (5, 0), (4, 2), (40, 1)))).item_ids == ("i4", "i0", "i1", "i2", "i3")
    assert policy.select(*steered(pins=((5, 5),))).item_ids == ("i0", "i1", "i2", "i3", "i4")
    assert policy.select(*steered(pins=((0, 7), (1, 4)), size=9)).item_ids == ("i2", "i3", "i4", "i5", "i1", "i0")


def test_named_items_stand_behind_what_is_pinned_before_them(catalogue):
    slate = ObjectivePolicy(catalogue).select(*steered(pins=((5, 0), (4, 2)), named=(3,)))

    assert slate.item_ids == ("i5", "i3", "i4", "i0", "i1")
    assert ObjectivePolicy(catalogue).select(*steered(pins=((5, 0),), named=(3,), size=1)).item_ids == ("i5",)


def test_weights_move_items_and_help_those_below_zero_too(catalogue):
    policy = ObjectivePolicy(catalogue)

    assert policy.select(*steered(weights={3: 4.0, 0: 0.1})).item_ids == ("i3", "i1", "i2", "i4", "i0")
    below = (-1.0, -2.0, -3.0)
    assert policy.select(*steered(weights={2: 4.0}, scores=below)).item_ids == ("i2", "i0", "i1")
    assert policy.select(*steered(weights={0: 0.25}, scores=below)).item_ids == ("i1", "i2", "i0")


@given(
    pins=st.lists(st.tuples(st.integers(0, 70), st.integers(0, 12)), max_size=6),
    n=st.integers(0, 12),
    size=st.integers(1, 10),
    diversity=st.sampled_from([0.0, 0.5]),
)
def test_whatever_is_pinned_the_list_is_as_long_as_it_can_be_and_nothing_comes_twice(
    catalogue, pins, n, size, diversity
):
    placement = PlacementConfig(sources=("a",), diversity=diversity, explore=ExploreConfig(share=0.3, pool=4))
    request, found, outcomes, *rest = steered(pins=pins, size=size, placement=placement, scores=np.arange(n)[::-1])

    slate = ObjectivePolicy(catalogue).select(request, found, outcomes, *rest)

    assert len(slate.slots) == min(size, n) == len(set(slate.item_ids))
    for place, slot in enumerate(slate.slots):
        if slot.placed_by is not None:
            assert slot.propensity == 1.0
            assert place <= int(slot.placed_by[1:])
