from urllib.parse import quote

import pytest

from aisle import wire
from tests.service.tiny_server import problem

PAGES = {"items": wire.ItemPage, "users": wire.UserPage, "events": wire.EventPage, "documents": wire.DocumentPage}


@pytest.mark.parametrize(("table", "kind"), PAGES.items())
@pytest.mark.parametrize("limit", [1, 5, 1_000])
def test_a_list_gives_every_row_once_page_by_page(http, tiny, table, kind, limit):
    rows, cursor = [], None
    while True:
        parameters = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        response = http.get(f"/v1/{table}", params=parameters)
        page = kind.model_validate_json(response.content, strict=True)
        assert len(page.rows) <= limit
        rows += page.rows
        cursor = page.cursor
        if cursor is None:
            break

    assert len(rows) == len(getattr(tiny, table))
    assert len({row.model_dump_json() for row in rows}) == len(rows)


def test_a_cursor_of_another_list_is_refused(http):
    cursor = http.get("/v1/items", params={"limit": 1}).json()["cursor"]

    assert problem(http.get("/v1/users", params={"cursor": cursor}), 422)["field"] == "cursor"


def test_single_records(http, tiny):
    item = http.get("/v1/items/kettle")
    user = http.get("/v1/users/ann")

    wire.ListedItem.model_validate_json(item.content, strict=True)
    wire.ListedUser.model_validate_json(user.content, strict=True)
    assert item.json()["cost_minor"] == tiny.item("kettle").cost_minor
    assert user.json()["gender"] == "female"


@pytest.mark.parametrize(("path", "field"), [("items", "item_id"), ("users", "user_id"), ("slates", "slate_id")])
def test_what_is_not_there_is_not_found(http, path, field):
    assert problem(http.get(f"/v1/{path}/nothing-like-that"), 404)["field"] == field


def test_ids_with_slashes_and_other_signs_are_ids(own_http):
    item_id = "a/b c?d#e&f=ü茶"
    own_http.post("/v1/items", json={"item_id": item_id, "texts": [{"language": "en", "title": "Odd"}]})

    for path in ("/v1/items/{}", "/v1/items/{}/similar"):
        assert own_http.get(path.format(quote(item_id, safe=""))).status_code == 200
    assert own_http.get(f"/v1/items/{quote(item_id, safe='/')}").json()["item_id"] == item_id


def test_an_erased_user_is_gone(own_http):
    erased = own_http.delete("/v1/users/ann")

    assert wire.Erased.model_validate_json(erased.content, strict=True).n_rows > 1
    problem(own_http.get("/v1/users/ann"), 404)
    assert own_http.get("/v1/events", params={"user_id": "ann"}).json() == {"rows": [], "cursor": None}
    assert own_http.delete("/v1/users/ann").json()["n_rows"] == 0
