import pytest

from aisle.domain import Event, EventType, Filters, ItemKind
from aisle.errors import ConfigError, DataError
from aisle.flows.asks import Ask
from aisle.flows.search import MAX_QUERY_CHARACTERS


@pytest.mark.parametrize(
    ("query", "item_id"),
    [("waterproof boots", "boots"), ("雨伞", "umbrella"), ("longjing", "green-tea"), ("龙井", "green-tea")],
)
def test_a_search_finds_what_is_meant(shop, query, item_id):
    response = shop.search(query)

    assert response.item_ids[0] == item_id
    assert response.degraded == ()


def test_recommendations_follow_who_asks(shop):
    assert shop.recommend(user_id="dora").item_ids[0] == "green-tea"
    assert "socks" in shop.recommend(user_id="finn").item_ids[:2]


def test_what_goes_with_an_item(shop):
    assert shop.complete_basket(["kettle"]).item_ids[0] == "green-tea"
    assert shop.complete_basket(["boots"]).item_ids[0] == "socks"
    assert "kettle" not in shop.similar("kettle").item_ids


def test_the_usual_placements(shop):
    assert shop.recommend("buy-it-again", user_id="ann").item_ids[0] == "green-tea"
    assert shop.recommend("trending").item_ids[0] == "umbrella"
    assert "kettle" in shop.recommend("popular").item_ids[:2]
    assert shop.recommend("new-arrivals").item_ids[0] == "raincoat"
    assert shop.recommend("recently-viewed", user_id="eve").item_ids[:2] == ("umbrella", "headphones")


def test_nobody_is_shown_what_cannot_be_bought_or_is_of_another_kind(shop):
    for response in shop.recommend_many(["ann", "bob", "nobody", None], size=12):
        assert not {"camera", "brewing-guide", "tea-week"} & set(response.item_ids)


def test_filters_hold_for_every_item(shop, tiny):
    response = shop.search("tea kettle boots", filters=Filters(max_price_minor=3000, kinds=(ItemKind.PRODUCT,)))

    assert response.item_ids
    assert all(tiny.item(item_id).price_minor <= 3000 for item_id in response.item_ids)


def test_a_price_in_the_query_limits_the_list(shop, tiny):
    plain, limited = shop.search("tea kettle boots"), shop.search("tea kettle boots under 30 dollars")

    assert any(tiny.item(item_id).price_minor > 3000 for item_id in plain.item_ids)
    assert limited.item_ids
    assert all(tiny.item(item_id).price_minor <= 3000 for item_id in limited.item_ids)
    assert (limited.query.effective, limited.query.price.high_minor) == ("tea kettle boots", 3000)
    assert limited.slate.query == "tea kettle boots under 30 dollars"


def test_a_price_alone_shows_what_is_popular_within_it(shop, tiny):
    response = shop.search("under 30 dollars")

    assert response.item_ids[0] == "green-tea"
    assert all(tiny.item(item_id).price_minor <= 3000 for item_id in response.item_ids)
    assert response.relaxed.step == "popular"


def test_limits_of_the_caller_go_before_those_of_the_query(shop, tiny):
    response = shop.search("tea kettle boots under 30 dollars", filters=Filters(min_price_minor=3001))

    assert response.item_ids
    assert all(tiny.item(item_id).price_minor > 3000 for item_id in response.item_ids)


def test_what_is_understood_is_told(shop):
    query = shop.search("maple kettle").query

    assert query.brands[0].value == "Maple"
    assert sum(share for _, share in query.intents) == pytest.approx(1.0)
    assert shop.recommend(user_id="ann").query is None


def test_counts_of_a_facet_leave_its_own_filter_aside(shop):
    def asked(**limits):
        ask = Ask(text="tea kettle", filters=Filters(**limits), with_facets=True)
        [response] = shop.ask_search([ask])
        assert response.degraded == ()
        return response, {facet.value: facet.n_items for facet in response.facets.brands}

    whole, brands = asked()
    narrow, still = asked(brands=("Maple",))
    assert {"Maple", "Hillside"} <= set(brands)
    assert still == brands
    assert set(narrow.item_ids) < set(whole.item_ids)
    # Every other facet is counted within the brand, and in the end nothing is left of what was chosen twice.
    assert sum(facet.n_items for facet in narrow.facets.categories if facet.value == "Grocery") == 0
    both, within = asked(brands=("Maple",), categories=("Grocery",))
    assert (both.relaxed.step, set(within)) == ("filters", {"Hillside"})  # counts are those of the choice as it is
    red, colours = (asked(**limits)[0] for limits in ({"attributes": {"colour": ["red"]}}, {}))
    assert set(red.item_ids) == {"kettle"}
    assert red.facets.attributes[0] == next(facet for facet in colours.facets.attributes if facet.name == "colour")
    cheap, _ = asked(max_price_minor=2000)
    assert cheap.facets.highest_price_minor == whole.facets.highest_price_minor


def test_ratings_limit_and_are_counted_as_soon_as_somebody_rates(shop, tiny):
    def found(least):
        [response] = shop.ask_search([Ask(text="teapot kettle", filters=Filters(min_rating=least), with_facets=True)])
        return set(response.item_ids), response.facets.ratings

    def rate(item_id, rating, *users):
        shop.add_events(Event(user, EventType.RATE, tiny.clock(), item_id=item_id, rating=rating) for user in users)

    rate("teapot", 4.0, "ann", "bob")
    rate("kettle", 1.0, "ann", "bob")
    before, ratings = found(3.5)
    assert "teapot" in before
    assert "kettle" not in before
    assert [(facet.least, facet.n_items) for facet in ratings] == [(4, 1), (3, 1), (2, 2)]
    rate("kettle", 5.0, "dora", "eve", "finn", "cleo")
    assert "kettle" in found(3.5)[0]


def test_many_asks_get_the_same_answers_as_one_by_one(shop):
    users = ["ann", "dora", None, "stranger"]

    together = shop.recommend_many(users)

    assert [answer.item_ids for answer in together] == [shop.recommend(user_id=user).item_ids for user in users]
    assert [answer.slate.user_id for answer in together] == users


def test_an_answer_can_be_read_back_as_soon_as_it_is_shown(shop):
    response = shop.search("kettle", user_id="ann")

    kept = shop.read_slate(response.slate.slate_id)

    assert kept == response.slate
    assert {"lexical", "semantic", "policy", "ranker"} <= set(kept.versions)
    assert all(slot.propensity == 1.0 and slot.scores for slot in kept.slots)


def test_short_lists_are_filled_up_and_say_from_where(shop):
    response = shop.recommend("trending")

    found_by = [set(slot.scores) for slot in response.slate.slots]
    assert found_by[0] == {"trending"}
    assert found_by[-1] == {"popular"}
    utilities = [slot.utility for slot in response.slate.slots]
    assert utilities == sorted(utilities, reverse=True)


@pytest.mark.parametrize("query", ["qwrtzx", "blorptang", "zzzz 9999999", "手机壳", "!!!"])
def test_nonsense_finds_nothing_and_what_stands_in_for_it_says_so(shop, query):
    [response] = shop.ask_search([Ask(text=query, with_facets=True)])

    assert response.relaxed is not None
    assert (bool(response.item_ids), response.degraded) == (True, ())
    assert shop.search("").item_ids == ()


def test_what_was_found_answers_the_query(shop):
    assert set(shop.search("雨伞").item_ids) == {"umbrella"}
    assert "headphones" not in shop.search("green tea").item_ids
    assert "headphones" in shop.search("earphones").item_ids  # by its meaning alone


def test_an_item_whose_id_is_typed_comes_first(shop):
    # Its words would bring others first: the guide is about tea and kettles.
    assert shop.search("brewing-guide").item_ids[0] == "brewing-guide"
    assert shop.search("  Brewing-GUIDE ", size=1).item_ids == ("brewing-guide",)
    assert shop.search("camera", filters=Filters(is_in_stock_only=False)).item_ids[0] == "camera"
    assert "camera" not in shop.search("camera").item_ids  # a filter holds for it too


@pytest.mark.parametrize("query", ['"', "AND OR (", "title:*", "a" * MAX_QUERY_CHARACTERS, "\x00\x07", "", "（茶）"])
def test_no_query_breaks_the_search(shop, query):
    assert shop.search(query).degraded == ()


def test_wrong_questions_are_refused_with_what_is_allowed(shop):
    with pytest.raises(ConfigError, match="unknown placement 'recomended-for-you'. Did you mean 'recommended-for-you'"):
        shop.recommend("recomended-for-you")
    with pytest.raises(DataError, match="unknown item 'ghost'"):
        shop.similar("ghost")
    with pytest.raises(DataError, match="allowed are 1 to 1000"):
        shop.search("tea", size=0)
    with pytest.raises(DataError, match="at most 500"):
        shop.search("x" * 501)
    with pytest.raises(DataError, match="not shown in this placement"):
        shop.recommend(filters=Filters(kinds=(ItemKind.ARTICLE,)))
    with pytest.raises(DataError, match="needs a query"):
        shop.ask_search([Ask()])


def test_suggestions_continue_what_was_typed(shop):
    texts = [suggestion.text.casefold() for suggestion in shop.suggest("ket")]

    assert texts
    assert all("ket" in text for text in texts)


def test_a_source_that_fails_is_named_and_the_list_still_comes(shop, caplog):
    class Broken:
        name = "linear"

        def retrieve(self, requests, n):
            raise RuntimeError("out of order")

    shop.live.stages.lineup.swap("linear", Broken(), "broken")  # type: ignore[arg-type]

    response = shop.recommend(user_id="dora")

    assert response.degraded == ("linear",)
    assert response.item_ids
    assert "out of order" in caplog.text


def test_an_unknown_brand_or_category_in_a_question_is_named_with_the_closest(shop, tiny):
    brand = next(item.brand for item in tiny.items if item.brand)
    with pytest.raises(DataError, match=f"no item has the brand .* Did you mean '{brand}'"):
        shop.search("tea", filters=Filters(brands=(brand.upper() + "s",)))
    with pytest.raises(DataError, match="no item has the category 'nowhere'"):
        shop.recommend(filters=Filters(categories=("nowhere",)))
