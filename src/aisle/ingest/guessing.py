"""A mapping to begin with, guessed from a source's column names and first values, with comments for a person to check.

Enters: a file. Leaves: TOML text. Nothing is imported by a guess alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import polars as pl

from aisle.domain import EVENT_TYPES
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import CsvConfig, FormatName
from aisle.ingest.parsing import money, numbers, texts, times
from aisle.ingest.peeking import peek, shown_csv
from aisle.ingest.sources import Source, find_sources
from aisle.ingest.targets import REQUIRED, TABLES

_NAMES: Mapping[str, tuple[str, ...]] = {
    "user_id": ("user", "customer", "visitor", "household", "reviewer", "userpseudo", "member", "buyer", "u"),
    "item_id": ("item", "product", "productu", "sku", "asin", "stockcode", "goods", "movie", "clothing", "p"),
    "document_id": ("document", "doc", "faq", "page"),
    "event_id": ("event",),
    "title": ("title", "name", "producttitle", "productname", "itemname", "movietitle", "question", "heading"),
    "description": ("description", "productdescription", "details", "summary", "body"),
    "text": ("text", "reviewtext", "review", "comment", "answer", "content", "response"),
    "query": ("query", "searchterm", "keyword", "searchquery", "keywords"),
    "time": (
        "time", "timestamp", "datetime", "date", "eventtime", "eventtimestamp", "invoicedate", "createdat", "ts",
        "transactiontimestamp", "orderdate",
    ),
    "type": ("type", "event", "eventtype", "eventname", "action", "behavior", "behaviortype", "feedbacktype"),
    "price": ("price", "unitprice", "saleprice", "amount", "listprice", "saleamount"),
    "currency": ("currency", "currencycode"),
    "quantity": ("quantity", "qty", "count", "units"),
    "rating": ("rating", "stars", "score", "overall"),
    "session_id": ("session",),
    "basket_id": ("basket", "order", "invoice", "invoiceno", "transaction", "cart"),
    "slot": ("slot", "position", "rank"),
    "brand": ("brand", "brandname", "manufacturer", "make"),
    "category": ("category", "categories", "categoryname", "productcategory", "department", "categorypath", "class"),
    "image": ("image", "imageurl", "imagelink", "picture"),
    "stock": ("stock", "inventory", "availablequantity", "instock"),
    "seller": ("seller", "vendor", "merchant", "store"),
    "gender": ("gender", "sex"),
    "age_band": ("age", "ageband", "agegroup"),
    "region": ("region", "country", "city", "state", "province"),
    "language": ("language", "lang", "languagecode", "locale"),
    "device": ("device", "devicetype"),
    "platform": ("platform", "os", "operatingsystem"),
    "url": ("url", "link", "uri"),
}  # fmt: skip
"""Our column to the names that usually mean it: lower case, letters only, without a trailing ``id``."""

_TYPE_WORDS: Mapping[str, str] = {
    "view": "view_item", "pv": "view_item", "click": "select_item", "impression": "view_item_list",
    "cart": "add_to_cart", "addtocart": "add_to_cart", "fav": "add_to_wishlist", "wishlist": "add_to_wishlist",
    "like": "add_to_wishlist", "buy": "purchase", "purchase": "purchase", "transaction": "purchase",
    "order": "purchase",
    "return": "refund", "refund": "refund", "search": "search", "rating": "rate", "rate": "rate", "review": "review",
    "removefromcart": "remove_from_cart", "share": "share", "checkout": "begin_checkout",
}  # fmt: skip
_TIME_FORMATS = (
    "%Y/%m/%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M",
    "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d",
)  # fmt: skip
_AGE_BANDS = [18, 25, 35, 45, 55, 65]


def guess_mapping(path: str | Path, format: FormatName | None = None, limits: LimitsConfig | None = None) -> str:
    """TOML of a mapping for ``path`` that a person should read before using it.

    Args:
        path: a file, or a folder or glob of which the first file counts.
        format: where the name does not tell.
        limits: bounds on what is read.

    Raises:
        DataError: nothing there, empty or unreadable.
    """
    limits = limits or LimitsConfig()
    with ExitStack() as stack:
        source = find_sources([path], format, stack)[0]
        rows = peek(source, limits)
        csv = shown_csv(source, limits) if source.format == "csv" else CsvConfig()
    table, found, exploded = _choose(rows)
    return "\n".join(_write(source, rows, table, found, exploded, csv)) + "\n"


def _choose(rows: pl.DataFrame) -> tuple[str, dict[str, str], str | None]:
    """The likeliest table, our columns with the source's, and a list column to explode."""
    lists = [name for name in rows.columns if isinstance(rows.schema[name], pl.List)]
    exploded = next(
        (name for name in lists if _bare(name) in ("items", "item", "products", "history", "sequence")), None
    )
    scores: dict[str, tuple[float, dict[str, str]]] = {}
    for table, known in TABLES.items():
        found: dict[str, str] = {}
        for target in known:
            for name in rows.columns:
                if (
                    target not in found
                    and name not in found.values()
                    and _bare(name) in (target, *_NAMES.get(target, ()))
                ):
                    found[target] = name
        for name in rows.columns:  # our own names go first
            if name in known:
                found = {target: column for target, column in found.items() if column != name} | {name: name}
        needed = sum(any(name in found for name in group) for group in REQUIRED[table])
        scores[table] = (needed / len(REQUIRED[table]) + 0.1 * len(found), found)
    if exploded and "user_id" in scores["events"][1]:
        return "events", {**scores["events"][1], "item_id": exploded}, exploded
    behaviour = scores["events"][1].keys()
    if "user_id" in behaviour and behaviour & {"item_id", "query"} | behaviour & {"time", "quantity", "price"} > {
        "time"
    }:
        return "events", scores["events"][1], None
    table = max(scores, key=lambda name: scores[name][0])
    return table, scores[table][1], None


def _bare(name: str) -> str:
    letters = re.sub(r"[^a-z]", "", name.lower())
    return letters.removesuffix("id") or letters


def _write(
    source: Source, rows: pl.DataFrame, table: str, found: dict[str, str], exploded: str | None, csv: CsvConfig
) -> list[str]:
    lines = [f"# A guess from the first rows of {Path(source.name).name}. Read every line before you import with it."]
    lines += [f"table = {_text(table)}", f"format = {_text(source.format)}"]
    if exploded:
        lines += [f"explode = {_text(exploded)}  # each element becomes an event; $position gives the order"]
    shown = {"delimiter": csv.delimiter, "encoding": csv.encoding}
    stated = {name: value for name, value in shown.items() if value != CsvConfig.model_fields[name].default}
    if stated:
        lines += ["", "[csv]", *(f"{name} = {_text(value)}" for name, value in stated.items())]
    lines += ["", "[columns]"]
    for target, name in found.items():
        lines.append(f"{target} = {_field(target, rows[name])}")
    constants: list[str] = []
    for group in REQUIRED[table]:
        if not any(target in found for target in group):
            line = _for_missing(group[0], rows, exploded)
            (constants if group[0] == "type" else lines).append(line)
    if constants:
        lines += ["", "[constants]", *constants]
    rest = [name for name in rows.columns if name not in found.values() and name != exploded]
    if rest:
        lines += [
            "",
            "# Not used; move what matters to [columns]"
            + (" or [attributes]:" if table in ("items", "users") else ":"),
        ]
        for name in rest:
            shown = ", ".join(
                value[:24] for value in texts(rows[name]).drop_nulls().unique(maintain_order=True).head(3)
            )
            lines.append(
                f"#   {_text(name)}: {shown.encode('unicode_escape').decode() if not shown.isprintable() else shown}"
            )
    return lines


def _for_missing(target: str, rows: pl.DataFrame, exploded: str | None) -> str:
    if target == "type":
        return 'type = "purchase"  # CHECK: what these events are'
    if target == "time" and exploded:
        return 'time = { start = "2024-01-01T00:00:00Z", step = "1d" }  # CHECK: made up; it only keeps the order'
    if target in ("item_id", "document_id"):
        return f"{target} = {{ hash = [{_text(rows.columns[0])}] }}  # CHECK: no id column was recognised"
    return f"# {target} = ...  # REQUIRED: no column was recognised"


def _field(target: str, values: pl.Series) -> str:
    """The right side of one line of ``[columns]``."""
    name = _text(values.name)
    if target == "time":
        written = _time_format(values)
        return name if written is None else f"{{ from = {name}, time = {_text(written)} }}"
    if target == "type":
        return _type_field(values)
    if target == "age_band" and numbers(values).null_count() == values.null_count():
        return f"{{ from = {name}, bands = {_AGE_BANDS} }}"
    if target == "category" and values.dtype == pl.String:
        separator = next(
            (mark for mark in (" > ", "|", "/", ";") if _share(values.str.contains(mark, literal=True)) > 0.5), None
        )
        return name if separator is None else f"{{ from = {name}, split = {_text(separator)} }}"
    if target in ("price", "cost") and values.dtype == pl.String:
        comma = money(values, ",").is_not_null().sum() > money(values).is_not_null().sum()
        return f'{{ from = {name}, decimal = "," }}' if comma else name
    return name


def _type_field(values: pl.Series) -> str:
    seen = texts(values).drop_nulls().unique(maintain_order=True).head(30).to_list()
    known = {event_type.value for event_type in EVENT_TYPES}
    others = [value for value in seen if value not in known]
    if not others:
        return _text(values.name)
    pairs = [
        f"{_text(value)} = {_text(_TYPE_WORDS.get(re.sub(r'[^a-z]', '', value.lower()), 'view_item'))}"
        for value in others
    ]
    return f"{{ from = {_text(values.name)}, map = {{ {', '.join(pairs)} }} }}  # CHECK the right sides"


def _time_format(values: pl.Series) -> str | None:
    """None when no hint is needed."""
    if values.dtype.is_temporal():
        return None
    as_numbers = numbers(values)
    if (_share(as_numbers.is_not_null()) > 0.9 and values.dtype.is_numeric()) or _share(as_numbers > 1e8) > 0.9:
        typical = as_numbers.median()
        size = float(typical) if isinstance(typical, (int, float)) else 0.0
        return next(unit for unit, floor in (("ns", 1e17), ("us", 1e14), ("ms", 1e11), ("s", 0.0)) if size >= floor)
    if _share(times(values, "iso").is_not_null()) > 0.9:
        return None
    return max(_TIME_FORMATS, key=lambda written: times(values, written).is_not_null().sum())


def _share(marked: pl.Series) -> float:
    return float(marked.fill_null(False).sum()) / max(len(marked), 1)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
