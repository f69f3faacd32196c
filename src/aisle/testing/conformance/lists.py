"""The promises of ``contracts.RecordStore`` about lists to page through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aisle.contracts import Listed, RecordStore
from aisle.domain import (
    Document,
    DocumentTable,
    Event,
    EventTable,
    EventType,
    Item,
    ItemTable,
    ItemText,
    User,
    UserTable,
)
from aisle.errors import DataError
from aisle.testing.conformance.promises import Promise
from aisle.testing.tiny import NOW_MS

List = Callable[[str | None, int], Listed[Any]]
UNREADABLE = ("", "no cursor", "AAAA", "é", "W10", "WyJpdGVtcyIsIngiXQ")


def check_lists(name: str, store: RecordStore) -> None:
    """Examine the lists of a store that has rows of every kind, some of them of the user ann."""

    def of_ann(cursor: str | None, limit: int) -> Listed[Event]:
        return store.list_events(cursor, limit, user_id="ann")

    _in_order(name, store, of_ann)
    lists: dict[str, tuple[List, Callable[[], object]]] = {
        "items": (store.list_items, lambda: store.append_items(ItemTable.from_rows([_item("list-1")]))),
        "users": (store.list_users, lambda: store.append_users(UserTable.from_rows([User("a-list-user")]))),
        "documents": (store.list_documents, lambda: store.append_documents(DocumentTable.from_rows([_document()]))),
        "events": (store.list_events, lambda: store.append_events(_view("somebody", "list-1"))),
        "events of a user": (of_ann, lambda: store.append_events(_view("ann", "list-2"))),
    }
    for what, (read, add) in lists.items():
        with Promise(name, f"the list of {what} has every row once, in pages, while rows are added") as promise:
            everything = read(None, 10_000)
            promise.require(len(everything.rows) > 1, f"{len(everything.rows)} rows on one page")
            promise.require(everything.cursor is None, "there is a cursor at the end")
            first = read(None, 1)
            found = list(first.rows)
            add()
            cursor = first.cursor
            while cursor is not None:
                page = read(cursor, 2)
                promise.require(1 <= len(page.rows) <= 2, f"a page of two has {len(page.rows)} rows")
                found += page.rows
                cursor = page.cursor
            old = [row for row in found if row in everything.rows]
            promise.require(old == list(everything.rows), f"{len(found)} rows in pages, {len(everything.rows)} at once")
            promise.require(len(found) - len(old) in (0, 1), "rows were listed twice")
        for cursor in (*UNREADABLE, *_cursors_of_others(lists, what)):
            with Promise(name, f"an unreadable cursor of {what} is refused") as promise:
                promise.require(_is_refused(read, cursor), f"{cursor!r} is taken")


def _in_order(name: str, store: RecordStore, of_ann: List) -> None:
    with Promise(name, "items in order of arrival, users and documents by id, events newest arrival first") as promise:
        rows = [item.item_id for page in store.read_catalogue() for item in page.rows()]
        promise.require([item.item_id for item in store.list_items(None, 10_000).rows] == rows, "items differ")
        for row in store.list_items(None, 3).rows:
            promise.require([row] == store.read_items([row.item_id]), "an item differs from the one that is kept")
        users = [user.user_id for user in store.list_users(None, 10_000).rows]
        promise.require(users == sorted(users), f"users {users}")
        documents = [document.document_id for document in store.list_documents(None, 10_000).rows]
        promise.require(documents == sorted(documents), f"documents {documents}")
        arrived = list(store.changes_since(0).events.rows())
        promise.require(list(store.list_events(None, 10_000).rows) == arrived[::-1], "events differ from the feed's")
        hers = [event for event in arrived[::-1] if event.user_id == "ann"]
        promise.require(list(of_ann(None, 10_000).rows) == hers, "a user's events differ from the feed's")
        promise.require(store.list_events(user_id="nobody").rows == [], "an unknown user has events")


def _cursors_of_others(lists: dict[str, tuple[List, Callable[[], object]]], what: str) -> list[str]:
    """Cursors that another kind of list gave."""
    others = [read(None, 1).cursor for other, (read, _) in lists.items() if other.split()[0] != what.split()[0]]
    return [cursor for cursor in others if cursor is not None]


def _is_refused(read: List, cursor: str) -> bool:
    try:
        read(cursor, 2)
    except DataError:
        return True
    return False


def _item(item_id: str) -> Item:
    return Item(item_id, (ItemText("en", "Listed"),))


def _document() -> Document:
    return Document("a-list-document", "Listed", "text")


def _view(user_id: str, event_id: str) -> EventTable:
    return EventTable.from_rows([Event(user_id, EventType.VIEW, NOW_MS, "kettle", event_id=event_id)])
