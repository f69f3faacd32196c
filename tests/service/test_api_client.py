"""The client against a real server, and against servers that fail."""

import shutil
import subprocess
import sys

import httpx
import orjson
import pytest

from aisle import wire
from aisle.client import (
    Client,
    ConflictError,
    InvalidError,
    KeyRefusedError,
    NotFoundError,
    ServerError,
    UnreachableError,
)
from tests.service.tiny_server import on_a_port


@pytest.fixture(scope="module")
def client(trained_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("client") / "shop"
    shutil.copytree(trained_folder, folder)
    with on_a_port(folder) as address, Client(address) as client:
        yield client


def test_a_site_needs_no_part_of_the_server():
    code = """
import sys, aisle.client
heavy = {"polars", "torch", "numpy", "fastapi", "sqlalchemy", "aisle.domain", "aisle.shop"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_asking(client):
    assert client.search("waterproof boots", user_id="finn", size=2).items[0].item_id == "boots"
    assert client.recommend(user_id="dora", with_items=True).items[0].item.texts[0].title
    assert client.complete_basket(["kettle"]).items[0].item_id == "green-tea"
    assert "kettle" not in [item.item_id for item in client.similar("kettle", size=3).items]
    assert client.suggest("ke", size=1)[0].text == "Kettles"
    dear = wire.Filters(min_price_minor=10_000)
    facets = client.recommend("popular", filters=dear, with_facets=True).facets
    assert {facet.value for facet in facets.brands} == {"Ridgeline", "Sonora"}  # boots and headphones
    assert facets.lowest_price_minor < 10_000  # a facet is counted without its own filter


def test_many_questions_and_one_that_is_wrong(client):
    boots, nowhere = client.recommend_many(
        [wire.RecommendAsk(placement="similar-items", item_ids=("boots",)), wire.RecommendAsk(placement="nowhere")]
    )
    (kettle,) = client.search_many([wire.SearchAsk(query="kettle", size=1)])

    assert isinstance(boots, wire.Answer)
    assert isinstance(nowhere, wire.Problem)
    assert kettle.items[0].item_id == "kettle"


def test_filling_and_reading_back(client):
    answer = client.search("teapot", user_id="hana")
    view = wire.Event(user_id="hana", type="view_item", item_id="teapot", slate_id=answer.slate_id, slot=0)
    pan = wire.Item(item_id="pan/24", texts=(wire.ItemText(language="en", title="Iron pan"),), price_minor=4_500)

    assert client.add_events([view]).n_new == 1
    assert client.add_items([pan]).n_new == 1
    assert client.add_users([wire.User(user_id="hana", language="zh")]).n_new == 1
    assert client.add_documents([wire.Document(document_id="faq", text="Ask us.")]).n_new == 1
    gorse = {"FeedbackType": "click", "UserId": "hana", "ItemId": "kettle", "Timestamp": "2026-03-30T00:00:00Z"}
    assert client.add_foreign_events([gorse]).n_new == 1

    assert client.read_item("pan/24").price_minor == 4_500
    assert client.read_user("hana").language == "zh"
    assert [event.item_id for event in client.events(page_size=1, user_id="hana")] == ["kettle", "teapot"]
    assert client.read_slate(answer.slate_id).user_id == "hana"
    assert len(client.explain(answer.slate_id, "zh").items) == len(answer.items)
    assert client.erase_user("hana") > 2
    assert list(client.events(user_id="hana")) == []


def test_lists_go_on_over_all_pages(client):
    n_items = client.status().counts["items"]

    assert len(list(client.items(page_size=5))) == n_items
    assert len({user.user_id for user in client.users(page_size=2)}) == len(list(client.users()))
    assert {document.document_id for document in client.documents(page_size=1)} >= {"returns-en", "returns-zh"}


def test_operating(client):
    assert {model.name for model in client.models()} >= {"lexical", "popular"}
    assert client.doctor()
    assert client.trainings() == []
    with pytest.raises(NotFoundError):
        client.read_training("0" * 32)
    with pytest.raises(ConflictError) as told:
        client.rollback("popular")
    assert told.value.problem.command


def test_problems_are_raised_with_what_they_say(client):
    with pytest.raises(NotFoundError):
        client.read_item("nothing")
    with pytest.raises(InvalidError) as told:
        client.add_events([wire.Event(user_id="u", type="view_item")])
    assert told.value.problem.refusals[0].field == "item_id"


def failing(*answers):
    """A client of a server that gives these answers in turn, what it was sent, and how long the client slept."""
    left, sent, slept = list(answers), [], []

    def answer(request):
        sent.append(request)
        given = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(given, Exception):
            raise given
        return given

    client = Client("http://shop", "secret", transport=httpx.MockTransport(answer), sleep=slept.append)
    return client, sent, slept


def answered(status, headers=None, **told):
    document = {"type": "t", "title": "T", "status": status, "detail": "D", "instance": "/", **told}
    return httpx.Response(status, headers=headers, content=orjson.dumps(document))


FOUND = httpx.Response(200, content=b'{"suggestions": []}')
LOST = httpx.ConnectError("refused")


def test_what_was_not_worked_on_is_sent_again_when_the_server_wishes():
    client, sent, slept = failing(answered(503, {"retry-after": "2"}), answered(429), LOST, FOUND)

    assert client.suggest("a") == []
    assert slept == [2.0, 0.2, 0.4]
    assert sent[0].headers["authorization"] == "Bearer secret"


def test_what_must_not_happen_twice_is_not_sent_again_when_it_was_lost():
    client, sent, _ = failing(LOST)

    with pytest.raises(UnreachableError):
        client.rollback("popular")
    assert len(sent) == 1
    with pytest.raises(UnreachableError):
        client.suggest("a")
    assert len(sent) == 1 + 4


def test_events_that_are_sent_again_are_the_same_events():
    written = {"n_new": 1, "n_changed": 0, "n_duplicate": 0, "n_waiting": 0, "n_left_out": 0, "refusals": []}
    client, sent, _ = failing(LOST, httpx.Response(200, content=orjson.dumps(written)))

    client.add_events([wire.Event(user_id="u", type="search", query="tea")])

    assert sent[0].content == sent[1].content
    assert orjson.loads(sent[0].content)[0]["event_id"]


def test_foreign_events_that_are_sent_again_are_the_same_request():
    written = {"n_new": 1, "n_changed": 0, "n_duplicate": 0, "n_waiting": 0, "n_left_out": 0, "refusals": []}
    client, sent, _ = failing(LOST, httpx.Response(200, content=orjson.dumps(written)))

    client.add_foreign_events({"client_id": "u", "events": []})
    client.add_foreign_events({"client_id": "u", "events": []})
    client.add_foreign_events({"client_id": "u", "events": []}, idempotency_key="mine")

    keys = [request.headers["idempotency-key"] for request in sent]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == "mine"


@pytest.mark.parametrize(
    ("status", "error"), [(401, KeyRefusedError), (403, KeyRefusedError), (500, ServerError), (413, InvalidError)]
)
def test_errors_by_who_must_act(status, error):
    client, sent, _ = failing(answered(status))

    with pytest.raises(error) as told:
        client.suggest("a")
    assert told.value.problem.status == status
    assert len(sent) == 1


def test_a_proxy_that_answers_otherwise_is_understood():
    client, _, _ = failing(httpx.Response(502, text="<html>bad gateway</html>"))
    with pytest.raises(ServerError, match="502"):
        client.suggest("a")

    client, _, _ = failing(httpx.Response(200, text="<html>welcome</html>"))
    with pytest.raises(UnreachableError):
        client.suggest("a")


def test_rules_are_drafted_tried_published_and_rolled_back(client):
    rule = wire.QueryRule.model_validate_json('{"id": "a", "action": {"kind": "redirect", "url": "/sale"}}')

    drafted = client.put_rules_draft([rule], replaces=client.rules_draft().digest)
    assert drafted.rules == (rule,)
    with pytest.raises(ConflictError):
        client.put_rules_draft([], replaces="another")
    assert client.try_rules("tea", size=2).draft.redirect == "/sale"
    made = client.publish_rules("sale")
    assert client.search("tea").redirect == "/sale"
    assert client.read_rules(made.version) == [rule]
    client.rollback_rules()
    assert client.search("tea").redirect is None
    assert [one.note for one in client.rules_versions()] == ["", "sale"]
    assert client.rule_proposals() == []
    with pytest.raises(NotFoundError):
        client.decide_proposal("12", accept=True)
