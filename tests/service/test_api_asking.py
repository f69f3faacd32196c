import pytest

from aisle import wire
from tests.service.tiny_server import problem

KINDS = {"search": wire.Answer, "recommend": wire.Answer, "basket": wire.Answer}


def post(http, path, body):
    response = http.post(f"/v1/{path}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer):
    return [item["item_id"] for item in answer["items"]]


@pytest.mark.parametrize(
    ("path", "body", "first"),
    [
        ("search", {"query": "waterproof boots"}, "boots"),
        ("search", {"query": "雨伞", "user_id": "dora", "size": 2}, "umbrella"),
        ("recommend", {"placement": "buy-it-again", "user_id": "ann"}, "green-tea"),
        ("recommend", {"placement": "new-arrivals"}, "raincoat"),
        ("recommend", {"placement": "similar-items", "item_ids": ["kettle"]}, None),
        ("basket", {"item_ids": ["kettle"]}, "green-tea"),
    ],
)
def test_a_question_gets_its_right_answer_in_the_form_that_is_described(http, path, body, first):
    answer = post(http, path, body)

    wire.Answer.model_validate_json(http.post(f"/v1/{path}", json=body).content, strict=True)
    assert answer["items"]
    assert first in (None, answer["items"][0]["item_id"])
    assert len(answer["items"]) <= body.get("size", 1_000)
    assert answer["degraded"] == []
    assert answer["timings_ms"]["total"] > 0
    assert all(item["sources"] and 0.0 < item["propensity"] <= 1.0 for item in answer["items"])


def test_every_answer_can_be_read_again_by_its_slate_id(http):
    answer = post(http, "search", {"query": "tea", "user_id": "ann"})

    slate = http.get(f"/v1/slates/{answer['slate_id']}").json()

    assert [item["item_id"] for item in slate["items"]] == ids(answer)
    assert (slate["placement"], slate["user_id"], slate["query"]) == ("search", "ann", "tea")
    assert slate["versions"]


def test_item_details_come_when_asked_for_and_never_say_what_the_shop_pays(http, tiny):
    answer = post(http, "search", {"query": "kettle", "with_items": True})

    for place in answer["items"]:
        item = tiny.item(place["item_id"])
        assert place["item"]["texts"][0]["title"] == item.title
        assert place["item"]["price_minor"] == item.price_minor
        assert "cost_minor" not in place["item"]
    assert "item" not in post(http, "search", {"query": "kettle"})["items"][0]


def test_facets_count_what_was_found(http):
    facets = post(http, "search", {"query": "tea kettle", "with_facets": True})["facets"]

    assert {"value": "Maple", "n_items": 2} in facets["brands"]
    assert facets["lowest_price_minor"] <= facets["highest_price_minor"]
    assert "facets" not in post(http, "search", {"query": "tea kettle"})
    assert facets["categories"][0]["children"]
    assert "colour" in [facet["name"] for facet in facets["attributes"]]
    assert sum(bucket["n_items"] for bucket in facets["prices"]) > 1
    narrow = {"query": "tea kettle", "with_facets": True, "filters": {"brands": ["Maple"]}}
    assert post(http, "search", narrow)["facets"]["brands"] == facets["brands"]


def test_an_unknown_brand_or_category_is_a_problem_that_names_the_closest(http):
    for limits, field, meant in (
        ({"brands": ["maple"]}, "brands", "Did you mean 'Maple'?"),
        ({"categories": ["kettles"]}, "categories", "Did you mean 'Kitchen > Kettles'?"),
        ({"attributes": {"color": ["red"]}}, "attributes", "Did you mean 'colour'?"),
        ({"attributes": {"colour": ["rad"]}}, "attributes", "Did you mean 'red'?"),
    ):
        for path, ask in (("search", {"query": "kettle"}), ("recommend", {})):
            answer = http.post(f"/v1/{path}", json={**ask, "filters": limits})
            assert answer.status_code in (400, 422), answer.text
            assert field in answer.text
            assert meant in answer.json()["detail"]


def test_filters_hold_for_every_item(http):
    red = post(http, "search", {"query": "kettle boots", "filters": {"attributes": {"colour": ["red", "brown"]}}})
    assert set(ids(red)) == {"kettle", "boots"}
    assert post(http, "recommend", {"filters": {"min_rating": 5.5}})["items"] == []
    filters = {"brands": ["Ridgeline"], "max_price_minor": 2_500, "excluded_item_ids": ["socks"]}
    answer = post(http, "recommend", {"user_id": "ann", "filters": filters, "with_items": True})

    assert ids(answer)
    assert all(place["item"]["brand"] == "Ridgeline" for place in answer["items"])
    assert all(place["item"]["price_minor"] <= 2_500 for place in answer["items"])
    assert "socks" not in ids(answer)


def test_what_was_bought_can_be_left_out(http):
    body = {"query": "green tea", "user_id": "ann"}

    assert "green-tea" in ids(post(http, "search", body))
    assert "green-tea" not in ids(post(http, "search", {**body, "filters": {"has_bought": False}}))


def test_a_batch_answers_each_question_as_if_it_were_alone(http):
    asks = [{"query": "kettle"}, {"query": "雨伞", "size": 1}, {"query": "boots", "user_id": "finn"}]
    answers = post(http, "search/batch", {"asks": asks})["answers"]

    assert [ids(answer) for answer in answers] == [ids(post(http, "search", ask)) for ask in asks]


def test_a_batch_may_mix_placements_and_a_wrong_question_spoils_no_other(http):
    asks = [
        {"placement": "buy-it-again", "user_id": "ann", "size": 2},
        {"placement": "nowhere"},
        {"placement": "new-arrivals", "size": 1},
        {"placement": "similar-items", "item_ids": ["nothing"]},
        {"filters": {"min_price_minor": 2, "max_price_minor": 1}},
        {"placement": "frequently-bought-together", "item_ids": ["boots"], "size": 2},
    ]
    response = http.post("/v1/recommend/batch", json={"asks": asks})
    answers = response.json()["answers"]

    wire.Answers.model_validate_json(response.content, strict=True)
    assert ids(answers[0])[0] == "green-tea"
    assert ids(answers[2]) == ["raincoat"]
    assert "socks" in ids(answers[5])
    assert [answers[place]["field"] for place in (1, 3, 4)] == ["placement", "item_id", "min_price_minor"]


def test_similar_items_of_an_item(http):
    answer = http.get("/v1/items/kettle/similar", params={"size": 3, "with_items": "true", "user_id": "dora"}).json()

    assert len(answer["items"]) == 3
    assert "kettle" not in ids(answer)
    assert answer["items"][0]["item"]["item_id"] == ids(answer)[0]


def test_similar_items_of_an_unknown_item_are_not_found(http):
    assert problem(http.get("/v1/items/nothing/similar"), 404)["field"] == "item_id"


def test_suggestions(http):
    told = http.get("/v1/suggest", params={"prefix": "ke", "size": 2})

    wire.Suggestions.model_validate_json(told.content, strict=True)
    assert told.json()["suggestions"][0]["text"] == "Kettles"
    assert len(told.json()["suggestions"]) == 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_reasons_come_in_the_language_of_the_request(http, language):
    body = {"query": "kettle", "explain": True}
    answer = http.post("/v1/search", json=body, headers={"accept-language": f"fr, {language};q=0.8"}).json()
    explanation = http.get(f"/v1/slates/{answer['slate_id']}/explain", params={"language": language})
    by_header = http.get(f"/v1/slates/{answer['slate_id']}/explain", headers={"accept-language": language})

    wire.Explanation.model_validate_json(explanation.content, strict=True)
    assert answer["language"] == explanation.json()["language"] == language
    assert by_header.json() == explanation.json()
    for place, explained in zip(answer["items"], explanation.json()["items"], strict=True):
        assert place["reasons"] == explained["reasons"]
        assert place["reasons"]
        assert sum(explained["sources"].values()) == pytest.approx(1.0)
        is_chinese = any("\u4e00" <= letter <= "\u9fff" for letter in place["reasons"][0]["text"])
        assert is_chinese == (language == "zh")


def test_reasons_of_an_unknown_slate_are_not_found(http):
    assert problem(http.get("/v1/slates/nothing/explain"), 404)["field"] == "slate_id"


def test_a_list_in_another_order_goes_on_page_by_page(http):
    ask = {"query": "tea kettle boots socks", "sort": "price-down", "size": 2}
    whole = post(http, "search", {**ask, "size": 50})
    first = post(http, "search", ask)
    second = post(http, "search", {**ask, "size": 50, "cursor": first["cursor"], "with_items": True})

    assert ids(first) + ids(second) == ids(whole)
    assert whole["cursor"] is None
    assert second["slate_id"] != first["slate_id"]
    for changed in ({"query": "tea"}, {"cursor": first["cursor"][:-9]}):
        refused = problem(http.post("/v1/search", json={**ask, "cursor": first["cursor"], **changed}), 422)
        assert refused["field"] == "cursor"
        assert "cursor" in refused["detail"]


def test_highlights_come_as_ranges_and_as_html(http):
    answer = post(http, "search", {"query": "waterprof boot", "with_highlights": True})

    wire.Answer.model_validate(answer)
    title = next(item for item in answer["items"] if item["item_id"] == "boots")["highlight"]["title"]
    assert [title["text"][begin:end] for begin, end in title["ranges"]]
    assert title["html"].count("<mark>") == len(title["ranges"])
    assert "highlight" not in post(http, "search", {"query": "boots"})["items"][0]


def test_what_was_given_up_for_an_empty_list_is_told(http):
    answer = post(http, "search", {"query": "boots", "filters": {"max_price_minor": 1}})

    wire.Answer.model_validate(answer)
    assert answer["items"]
    assert answer["relaxed"]["step"] == "filters"
    assert answer["relaxed"]["dropped_filters"] == ["price"]
    assert post(http, "search", {"query": "boots"})["relaxed"] is None
