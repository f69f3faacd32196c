"""Common names of other people's columns and event types whose meaning leaves no doubt.

Enters: column names of a source. Leaves: our column to theirs, or which of theirs compete. What might mean two things
(``amount``, ``vendor``, ``score``) is not here on purpose: it takes a mapping.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from aisle.ingest.targets import TABLES, target_of

_ITEM_IDS = ("productid", "itemid", "sku", "articleid", "goodsid", "asin")
_USER_IDS = ("userid", "customerid", "visitorid", "memberid", "shopperid", "user", "customer", "visitor", "shopper")

SYNONYMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "items": {
        "item_id": (*_ITEM_IDS, "id"),
        "title": ("name", "producttitle", "productname", "itemname", "itemtitle"),
        "description": ("desc", "productdescription", "itemdescription"),
        "brand": ("brandname", "manufacturer"),
        "category": ("categories", "categoryname", "categorypath", "productcategory"),
        "currency": ("currencycode",),
        "stock": ("inventory", "stockquantity", "stockqty"),
        "image": ("imageurl", "imagelink"),
        "created": ("createdat",),
    },
    "users": {
        "user_id": _USER_IDS,
        "gender": ("sex",),
        "region": ("country",),
        "language": ("lang", "locale"),
        "created": ("createdat", "signupdate", "registeredat"),
    },
    "events": {
        "user_id": _USER_IDS,
        "item_id": (*_ITEM_IDS, "item", "product"),
        "type": ("event", "eventtype", "eventname", "action", "behavior", "behaviour", "behaviortype"),
        "time": ("timestamp", "date", "datetime", "eventtime", "eventtimestamp", "eventdate", "createdat", "orderdate"),
        "quantity": ("qty",),
        "price": ("unitprice",),
        "currency": ("currencycode",),
        "query": ("searchterm", "searchquery", "keyword", "keywords"),
        "session_id": ("session",),
        "basket_id": ("orderid", "basket"),
    },
    "documents": {
        "document_id": ("docid", "document", "id"),
        "text": ("body", "content"),
        "url": ("link",),
        "updated": ("updatedat",),
    },
}
"""By table, our column to the names that mean it there: lower case, letters and digits only."""

_TELLING = {"price", "price_minor", "brand", "category", "stock", "image", "seller", "cost", "cost_minor"}
"""Columns that only goods have; ``id`` and ``name`` alone may as well be people."""

_TYPE_WORDS: Mapping[str, tuple[str, ...]] = {
    "view_item_list": ("impression",),
    "select_item": ("click",),
    "view_item": ("view", "viewed", "product view"),
    "add_to_cart": ("cart", "add to cart", "added to cart", "add to basket"),
    "remove_from_cart": ("remove from cart", "remove from basket"),
    "add_to_wishlist": ("wishlist", "add to wishlist", "favorite", "favourite"),
    "begin_checkout": ("checkout", "begin checkout"),
    "purchase": ("purchased", "buy", "bought", "order", "ordered", "transaction"),
    "refund": ("refunded", "return", "returned"),
    "search": ("searched",),
    "rate": ("rating", "rated"),
    "review": ("reviewed",),
    "share": ("shared",),
}


def _spellings(words: str) -> set[str]:
    parts = words.split()
    joined = {mark.join(parts) for mark in ("", " ", "_", "-")}
    camel = "".join(part.title() for part in parts)
    return {
        *joined, *map(str.upper, joined), *map(str.capitalize, joined), *map(str.title, joined),
        camel, camel[0].lower() + camel[1:],
    }  # fmt: skip


TYPE_SPELLINGS: Mapping[str, str] = {
    spelling: ours
    for ours, others in _TYPE_WORDS.items()
    for words in (*others, ours.replace("_", " "))
    for spelling in sorted(_spellings(words))
    if spelling != ours
}
"""Their event type to ours, in every usual spelling: ``AddToCart``, ``add-to-cart``, ``ADD_TO_CART``."""


def folded(name: str) -> str:
    """``Product ID``, ``product_id`` and ``productId`` as one: lower case, letters and digits only."""
    return re.sub(r"[\W_]", "", name.lower())


def columns_found(table: str, names: Iterable[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Our column to theirs in ``table``, and our column to several of theirs that compete for it.

    A column that has our name is taken before any other.
    """
    names = list(names)
    found = {name: name for name in names if target_of(table, name) is not None}
    competing: dict[str, list[str]] = {}
    roots = {target.partition(".")[0] for target in found}
    for target in TABLES[table]:
        if target in roots:
            continue
        meant = {folded(target), *SYNONYMS[table].get(target, ())}
        theirs = [name for name in names if name not in found and folded(name) in meant]
        if len(theirs) == 1:
            found[target] = theirs[0]
        elif theirs:
            competing[target] = theirs
    return found, competing


def is_certain(table: str, found: Mapping[str, str]) -> bool:
    """Whether columns found under other names than ours are enough to take a source for ``table``."""
    renamed = {target for target, name in found.items() if target != name}
    if table == "users" and "user_id" in renamed:
        return len(found) > 1  # whoever only names a customer may be an order as well
    if table == "items" and folded(found.get("item_id", "")) == "id" and "title" in renamed:
        return bool(_TELLING & found.keys())
    return True
