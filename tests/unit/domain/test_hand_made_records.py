import pytest

from aisle.domain import Event, EventType, Filters, Item, ItemKind, ItemTable, ItemText
from aisle.errors import DataError

TEXT = (ItemText("en", "kettle"),)


@pytest.mark.parametrize("price", [12.99, "12", True, -1])
def test_a_price_that_is_no_number_of_cents_is_refused(price):
    with pytest.raises(DataError, match=r"price_minor of item 'k' is .* minor units such as cents"):
        Item("k", TEXT, price_minor=price)


def test_an_event_says_which_value_it_does_not_take():
    with pytest.raises(DataError, match="price_minor of an event is 12.5"):
        Event("u", EventType.PURCHASE, 0, "k", price_minor=12.5)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="time_ms of an event is 1.5; .* in UTC milliseconds"):
        Event("u", EventType.PURCHASE, 1.5, "k")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="unknown event type 'purchas'. Did you mean 'purchase'"):
        Event("u", "purchas", 0, "k")  # type: ignore[arg-type]


def test_an_event_type_may_be_given_by_its_name():
    assert Event("u", "search", 0, query="tea").type is EventType.SEARCH  # type: ignore[arg-type]


def test_a_table_with_a_negative_price_or_stock_is_refused():
    frame = ItemTable.from_rows([Item("k", TEXT, stock=1)]).frame

    with pytest.raises(DataError, match="stock -1 is below 0"):
        ItemTable.from_frame(frame.with_columns(stock=-frame["stock"]))


def test_filters_take_lists_and_refuse_a_text_and_an_unknown_kind():
    assert Filters(brands=["Acme"], kinds=["article"]) == Filters(brands=("Acme",), kinds=(ItemKind.ARTICLE,))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"brands is the text 'Acme'; give a list or a tuple, such as \['Acme'\]"):
        Filters(brands="Acme")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="unknown kind 'artcle'. Did you mean 'article'"):
        Filters(kinds=("artcle",))  # type: ignore[arg-type]
