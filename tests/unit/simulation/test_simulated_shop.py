"""The simulated shop: equal seeds give equal data, everything fits together, sizes and dials do what they say."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree

import numpy as np
import polars as pl
import pytest

from aisle.domain import EventType
from aisle.errors import ConfigError
from aisle.simulation import SIZES, SimulationConfig, simulate
from aisle.simulation.pictures import draw_picture


@pytest.fixture(scope="module")
def shop():
    return simulate("tiny", seed=0)


@pytest.fixture(scope="module")
def events(shop) -> pl.DataFrame:
    return pl.concat([table.frame for table in shop.events()])


@pytest.fixture(scope="module")
def items(shop) -> pl.DataFrame:
    return pl.concat([table.frame for table in shop.items()])


def fingerprint(shop) -> str:
    digest = hashlib.sha256()
    for tables in (shop.items(), [shop.users()], shop.events(), [shop.documents()]):
        for table in tables:
            digest.update(table.frame.write_ndjson().encode())
    return digest.hexdigest()


def test_equal_seeds_give_equal_data_and_others_do_not():
    first = fingerprint(simulate("tiny", seed=4))

    assert first == fingerprint(simulate("tiny", seed=4))
    assert first != fingerprint(simulate("tiny", seed=5))


def test_iterating_twice_gives_the_same_events(shop, events):
    again = pl.concat([table.frame for table in shop.events(rows_at_once=100)])

    assert again.equals(events)


def test_every_event_names_a_user_and_an_item_of_the_shop(shop, items, events):
    item_ids = set(items["item_id"])
    assert len(item_ids) == items.height == shop.assortment.n_items
    assert set(events["item_id"].drop_nulls()) <= item_ids
    assert set(events["user_id"]) <= set(shop.users().frame["user_id"])
    assert (events.filter(pl.col("item_id").is_null())["type"] == EventType.SEARCH.value).all()


def test_events_are_in_order_of_time_inside_the_history_and_have_their_own_ids(shop, events):
    assert events["time_ms"].is_sorted()
    assert events["time_ms"].min() >= shop.config.start_ms
    assert events["time_ms"].max() < shop.now_ms
    assert events["event_id"].n_unique() == events.height


def test_nothing_happens_to_an_item_before_it_exists(items, events):
    known = events.join(items.select("item_id", "created_ms"), on="item_id")

    assert (known["time_ms"] >= known["created_ms"]).all()
    assert (items["created_ms"] > SimulationConfig().start_ms).any()


def test_purchases_carry_price_basket_and_a_click_before_them(items, events):
    purchases = events.filter(pl.col("type") == EventType.PURCHASE.value)
    clicks = events.filter(pl.col("type") == EventType.CLICK.value).select("slate_id", "item_id", "slot")
    priced = purchases.join(items.select("item_id", pl.col("price_minor").alias("listed")), on="item_id")

    assert purchases["basket_id"].null_count() == 0
    assert purchases.group_by("basket_id").agg(pl.col("time_ms").n_unique())["time_ms"].max() == 1
    assert purchases.group_by("basket_id").len()["len"].max() > 1
    assert (priced["price_minor"] == priced["listed"]).all()
    assert (purchases["quantity"] >= 1).all()
    assert purchases.join(clicks, on=["slate_id", "item_id", "slot"], how="semi").height == purchases.height


def test_refunds_and_reviews_follow_a_purchase_of_the_same_item(events):
    purchased = events.filter(pl.col("type") == EventType.PURCHASE.value).select("user_id", "item_id", "session_id")
    follow = events.filter(pl.col("type").is_in([EventType.REFUND.value, EventType.REVIEW.value]))

    assert follow.height > 10
    assert follow.join(purchased, on=["user_id", "item_id", "session_id"], how="semi").height == follow.height
    reviews = follow.filter(pl.col("type") == EventType.REVIEW.value)
    assert reviews["rating"].is_between(1, 5).all()
    assert reviews["text"].str.len_chars().min() > 5
    assert not reviews["text"].str.contains("{", literal=True).any()


def test_what_is_sold_out_is_never_bought_and_shows_no_stock(shop):
    truth, products = shop.truth, np.arange(shop.config.n_products)
    sold_out = products[shop.assortment.stock[products] == 0]
    chance = truth.purchase(np.arange(20)[:, None], sold_out, shop.now_ms)

    assert len(sold_out) > 0
    assert (chance == 0).all()


def test_content_can_be_clicked_while_it_runs_and_never_bought(shop):
    truth = shop.truth
    dated = np.flatnonzero(np.isfinite(shop.assortment.ends_day))[:1]
    day = 86_400_000
    end = shop.config.start_ms + int(shop.assortment.ends_day[dated[0]]) * day

    assert truth.click(0, dated, end - day) > 0
    assert truth.click(0, dated, end + day) == 0
    assert truth.purchase(0, dated, end - day) == 0


def test_titles_are_in_both_languages_and_say_what_the_item_is(shop, items):
    texts = items.explode("texts").unnest("texts")
    chinese = texts.filter(pl.col("language") == "zh")["title"]

    assert (
        texts.group_by("item_id").agg(pl.col("language").sort())["language"].to_list() == [["en", "zh"]] * items.height
    )
    assert chinese.str.contains(r"[\u4e00-\u9fff]").all()
    assert not texts["title"].str.contains(r"[{}]|  |null").any()
    assert not texts["description"].str.contains(r"[{}]|  |null").any()
    leaf = shop.vocabulary.leaves[int(shop.assortment.leaf[0])]
    assert any(noun.en in texts["title"][0] for noun in leaf.nouns)


def test_attributes_have_values_and_categories_two_levels(items):
    products = items.filter(pl.col("kind") == "product")
    values = products.explode("attributes")["attributes"].struct.field("value")

    assert values.null_count() == 0
    assert (products["category"].list.len() == 2).all()
    assert (products["cost_minor"] < products["price_minor"]).all()


def test_the_truth_broadcasts_and_counts_positions(shop):
    truth, now = shop.truth, shop.now_ms
    grid = truth.click(np.arange(5)[:, None], np.arange(7), now)
    third = truth.click(2, np.arange(7), now, position=3)

    assert grid.shape == (5, 7)
    assert third == pytest.approx(grid[2] * 4**-0.7, rel=1e-5)
    assert truth.expected_value(2, np.arange(7), now) == pytest.approx(
        grid[2] * truth.purchase(2, np.arange(7), now) * shop.assortment.price_minor[:7], rel=1e-5
    )


def test_the_truth_at_the_end_knows_the_purchases_of_the_history(shop, events):
    item_row = {item_id: row for row, item_id in enumerate(shop.item_ids())}
    last = events.filter(pl.col("type") == EventType.PURCHASE.value).row(-1, named=True)
    user = int(last["user_id"][2:])
    leaf = shop.assortment.leaf[item_row[last["item_id"]]]

    assert shop.truth.needs.last_item[user, leaf] == item_row[last["item_id"]]
    assert (shop.truth_at_start.needs.last_item == -1).all()


def test_asking_the_truth_changes_nothing_but_visitors_who_buy_do(shop):
    before = shop.truth.needs.last_day.copy()
    visitors = shop.visitors()
    items = np.argsort(-visitors.truth.click(np.arange(100)[:, None], np.arange(200), shop.now_ms), axis=1)[:, :10]
    answered = visitors.respond(np.arange(100), items, shop.now_ms, np.random.default_rng(0)).frame

    assert (answered["type"] == EventType.PURCHASE.value).sum() > 0
    assert not np.array_equal(visitors.truth.needs.last_day, before)
    assert np.array_equal(shop.truth.needs.last_day, before)


def test_visitors_answer_with_the_lists_ids_slots_and_queries(shop):
    users = np.array([3, 4])
    queries = shop.queries(users, np.random.default_rng(1))
    answered = shop.visitors().respond(
        users, [[0, 1, -1], [2, 3, 4]], shop.now_ms, np.random.default_rng(0),
        queries=queries, slate_ids=["a", "b"], placement="search",
    ).frame.filter(pl.col("type") == EventType.IMPRESSION.value)  # fmt: skip

    assert answered.select("slate_id", "slot").rows() == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]
    assert answered["query"].unique(maintain_order=True).to_list() == queries.texts().to_list()


def test_relevance_follows_what_was_asked_for(shop):
    queries = shop.queries(np.arange(100), np.random.default_rng(2))
    products = np.arange(shop.config.n_products)
    grade = shop.truth.relevance(queries, np.arange(100)[:, None], products)
    same_leaf = shop.assortment.leaf[products] == queries.leaf[:, None]

    assert (grade[~same_leaf] == 0).all()
    assert (grade[same_leaf] >= 1).all()
    # somebody has each item in mind that is asked for, so something answers every query in full
    assert (grade.max(axis=1) == 3).all()


def test_queries_use_other_words_than_titles(shop):
    queries = shop.queries(np.arange(100), np.random.default_rng(3))
    texts = queries.texts()

    assert texts.null_count() == 0
    assert (queries.noun_word > 0).mean() > 0.3
    assert set(queries.language.tolist()) == {0, 1}
    assert texts.filter(queries.language == 1).str.contains(r"[\u4e00-\u9fff]").mean() > 0.95


def test_documents_cover_the_policies_in_both_languages(shop):
    ids = set(shop.documents().frame["document_id"])

    assert {
        f"{name}-{language}"
        for name in ("returns", "shipping", "warranty", "payment", "privacy")
        for language in ("en", "zh")
    } <= ids


def test_pictures_are_svg_where_the_items_say(shop, items, tmp_path):
    assert shop.write_pictures(tmp_path, [0, 1, shop.assortment.n_items - 1]) == 3
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.svg"))

    assert written == sorted(items["image"].gather([0, 1, items.height - 1]))
    for path in tmp_path.rglob("*.svg"):
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_every_category_has_a_picture(shop):
    first_rows = [int(np.flatnonzero(shop.assortment.leaf == leaf)[0]) for leaf in range(shop.vocabulary.n_leaves)]

    assert len({draw_picture(shop.vocabulary, shop.assortment, row) for row in first_rows}) == len(first_rows)


def test_sizes_and_dials():
    assert list(SIZES) == ["tiny", "small", "medium", "large"]
    assert SimulationConfig.of_size("large").n_products == 1_000_000
    assert SimulationConfig.of_size("tiny", n_users=7).n_users == 7
    with pytest.raises(ConfigError, match="Did you mean 'small'"):
        simulate("smal")
    with pytest.raises(ConfigError, match="n_users"):
        SimulationConfig.of_size("tiny", n_users=0)


def test_the_smallest_shop_has_a_history_too():
    shop = simulate(SimulationConfig(n_products=62, n_users=1, n_days=3, visits_per_user=0.1), seed=1)

    assert sum(len(table) for table in shop.events()) >= 0
    assert shop.truth.click(0, np.arange(62), shop.now_ms).shape == (62,)


def test_many_items_come_in_tables_of_fifty_thousand():
    shop = simulate(SimulationConfig(n_products=50_100, n_users=10, n_days=1), seed=0)
    sizes = [len(table) for table in shop.items()]

    assert sizes == [50_000, 100, 1_503]
