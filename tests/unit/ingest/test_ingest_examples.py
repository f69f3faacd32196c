"""Every mapping under examples/mappings brings in its data set: counts, a row worked out by hand, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aisle.domain.tables import Table
from aisle.ingest import ImportReport, read_mapping

pytestmark = pytest.mark.needs_data
MAPPINGS = Path(__file__).resolve().parents[3] / "examples" / "mappings"
HEAD = 5000
"""Rows of a Parquet file that are enough to see."""


@dataclass(frozen=True)
class Example:
    """A mapping, its file, and what comes of its first rows."""

    mapping: str
    path: str
    n_new: int
    row: dict[str, Any]
    """Columns of one stored row, found by the first of them, checked by hand against the file."""
    n_left_out: int = 0
    n_refused: int = 0
    n_duplicate: int = 0
    n_changed: int = 0
    attributes: dict[str, str] = field(default_factory=dict)


DAY_MS = 86_400_000
T2014, T2016, T2017 = 1_388_534_400_000, 1_451_606_400_000, 1_483_228_800_000
T2018, T2022, T2024 = 1_514_764_800_000, 1_640_995_200_000, 1_704_067_200_000

EXAMPLES = [
    Example("amazon2014.items", "amazon2014-s3rec/Beauty.items.parquet", 5000,
            {"item_id": "1", "title": "nail lacquer simmer and shimmer"},
            attributes={"code": "173", "asin": "B004756YJA"}),
    Example("amazon2014.items", "amazon2014-s3rec/Sports_and_Outdoors.items.parquet", 5000,
            {"item_id": "1", "title": "ghost armorers tool 332 punch hunting fishing"}),
    Example("amazon2014.sequences", "amazon2014-s3rec/Beauty.sequences.parquet", -1,
            {"user_id": "1", "item_id": "1", "type": "purchase", "time_ms": T2014}),
    Example("minionerec.items", "minionerec-amazon18-partial/Office_Products.items.parquet", 3459,
            {"item_id": "0", "brand": "HP"}),
    Example("minionerec.valid", "minionerec-amazon18-partial/Office_Products.valid.parquet", 9211,
            {"user_id": "A994", "item_id": "2122", "time_ms": T2018}, n_duplicate=12573),
    Example("home-depot.products", "home-depot-search/products.parquet", 5000,
            {"item_id": "100001", "title": "Simpson Strong-Tie 12-Gauge Angle"}),
    Example("home-depot.judgments", "home-depot-search/judgments.parquet", 3461,
            {"query": "angle bracket", "item_id": "100001", "type": "select_item", "time_ms": T2016}, n_left_out=1539),
    Example("multi-cpr.queries", "multi-cpr-ecom-queries/dev.parquet", 1000,
            {"user_id": "anonymous-200000", "query": "大落地窗", "type": "search", "item_id": None,
             "time_ms": T2022}),
    Example("chinese-ecom-qa.documents", "chinese-ecom-qa/questions.parquet", 894,
            {"title": "宝格丽有哪些项链系列?", "kind": "question-BC", "language": "zh"}, n_duplicate=4),
    Example("open-bandit.items", "open-bandit-small/bts.men.item_context.parquet", 34,
            {"item_id": "0", "title": "Fashion item 0"}, attributes={"feature_1": "c82d13885d8bf7a3b8b9fa6f0842ba60"}),
    Example("open-bandit.impressions", "open-bandit-small/random.women.parquet", 5000,
            {"item_id": "32", "slot": 1, "type": "view_item_list", "time_ms": 1_574_553_804_688}),
    Example("open-bandit.clicks", "open-bandit-small/random.women.parquet", 15, {"type": "select_item"},
            n_left_out=4985),
    Example("online-retail.items", "online-retail-uci/online_retail.parquet", -1, {"currency": "GBP"}, n_left_out=-1,
            n_duplicate=-1),
    Example("online-retail.events", "online-retail-uci/online_retail.parquet", -1,
            {"user_id": "17850", "item_id": "WHITE HANGING HEART T-LIGHT HOLDER", "type": "purchase", "quantity": 6,
             "price_minor": 255, "currency": "GBP", "time_ms": 1_291_191_960_000, "region": "United Kingdom"},
            n_left_out=1205, n_duplicate=-1),
    Example("online-retail.users", "online-retail-uci/online_retail.parquet", -1, {"region": "United Kingdom"},
            n_left_out=1205, n_duplicate=-1),
    Example("completejourney.products", "completejourney-sample/products.parquet", 5000,
            {"item_id": "25671", "title": "ICE - CRUSHED/CUBED", "brand": "manufacturer 2",
             "category": ["GROCERY", "FRZN ICE", "ICE - CRUSHED/CUBED"]},
            attributes={"brand_kind": "National", "package": "22 LB"}),
    Example("completejourney.users", "completejourney-sample/demographics.parquet", 801,
            {"user_id": "1", "age_band": "65+"}, attributes={"income": "35-49K", "kids_count": "0"}),
    Example("completejourney.transactions", "completejourney-sample/transactions_sample.parquet", 4972,
            {"user_id": "2261", "item_id": "940996", "price_minor": 386, "quantity": 1, "basket_id": "31625220889",
             "platform": "store 309", "time_ms": 1_485_630_413_000}, n_left_out=28),
    Example("completejourney.coupons", "completejourney-sample/coupons.parquet", -1,
            {"item_id": "coupon-10000085207", "kind": "promotion", "title": "Coupon 10000085207"}, n_duplicate=-1,
            attributes={"campaign": "26"}),
    Example("completejourney.redemptions", "completejourney-sample/coupon_redemptions.parquet", 2089,
            {"user_id": "1029", "item_id": "coupon-51380041013", "type": "select_promotion", "time_ms": T2017},
            n_duplicate=13),
    Example("completejourney.campaigns", "completejourney-sample/campaign_descriptions.parquet", 27,
            {"item_id": "campaign-1", "starts_ms": 1_488_499_200_000, "ends_ms": 1_491_696_000_000},
            attributes={"type": "Type B"}),
    Example("completejourney.mailings", "completejourney-sample/campaigns.parquet", 5000,
            {"user_id": "105", "item_id": "campaign-1", "type": "view_promotion", "time_ms": T2017}),
    Example("online-shoppers.visitors", "online-shoppers-intention/sessions.parquet", 5000,
            {"user_id": "visitor-1", "region": "1"},
            attributes={"month": "Feb", "bought": "false", "exit_rate": "0.2"}),
    Example("tau-bench.products", "tau-bench-retail/products.json.gz", 591,
            {"item_id": "9612497925", "title": "T-Shirt, blue, M, cotton", "price_minor": 5088,
             "category": ["T-Shirt"]},
            attributes={"product": "9523456873", "style": "crew neck"}),
    Example("tau-bench.users", "tau-bench-retail/users.json.gz", 500,
            {"user_id": "noah_brown_6181", "region": "USA-CO"}),
    Example("tau-bench.orders", "tau-bench-retail/orders.json.gz", 2657,
            {"user_id": "james_li_5688", "item_id": "6469567736", "price_minor": 4784, "basket_id": "#W2611340",
             "time_ms": T2024}, n_left_out=321),
    Example("tau-bench.policy", "tau-bench-retail/policy_wiki.md", 1,
            {"document_id": "policy_wiki", "title": "Retail agent policy", "kind": "policy"}),
    Example("bitext.documents", "bitext-customer-support/utterances.parquet", 3411,
            {"title": "how can I cancel purchase 113542617735902?", "kind": "faq-cancel_order"}),
    Example("abcd.guidelines", "abcd-sample/guidelines.json", 55,
            {"document_id": "Product Defect / Initiate Refund", "kind": "guideline"}),
    Example("abcd.kb", "abcd-sample/kb.json", 55,
            {"document_id": "recover_username", "text": "pull-up-account, verify-identity"}),
    Example("chinese-reviews.items", "chinese-reviews/online_shopping_10_cats.parquet", -1,
            {"item_id": "书籍", "title": "书籍"}, n_duplicate=-1),
    Example("chinese-reviews.events", "chinese-reviews/online_shopping_10_cats.parquet", 5000,
            {"user_id": "anonymous-1", "item_id": "书籍", "type": "review", "rating": 5.0, "time_ms": T2018}),
    Example("womens-clothing.items", "womens-clothing-reviews/reviews.parquet", -1, {"item_id": "767"},
            n_left_out=-1, n_duplicate=-1),
    Example("womens-clothing.events", "womens-clothing-reviews/reviews.parquet", 5000,
            {"user_id": "reviewer-0", "item_id": "767", "type": "review", "rating": 4.0,
             "text": "Absolutely wonderful - silky and sexy and comfortable"}),
    Example("womens-clothing.users", "womens-clothing-reviews/reviews.parquet", 5000,
            {"user_id": "reviewer-0", "age_band": "25-34"}),
    Example("absa.items", "absa-semeval14/laptops.train.parquet", 1037, {"item_id": "cord"}, n_duplicate=1291),
    Example("absa.events", "absa-semeval14/laptops.train.parquet", 2328,
            {"user_id": "anonymous-1", "item_id": "cord", "rating": 3.0, "type": "review"}),
    Example("ml-100k.items", "ml-100k/item.parquet", 1682, {"item_id": "1", "title": "Toy Story", "kind": "video"},
            attributes={"genre": "Animation", "year": "1995"}),
    Example("ml-100k.users", "ml-100k/user.parquet", 943, {"user_id": "1", "gender": "M", "age_band": "18-24"},
            attributes={"occupation": "technician"}),
    Example("ml-100k.events", "ml-100k/inter.parquet", 5000,
            {"user_id": "196", "item_id": "242", "rating": 3.0, "type": "rate", "time_ms": 881_250_949_000}),
    Example("grocery.items", "grocery-store-images/classes.parquet", 81,
            {"item_id": "Golden-Delicious", "category": ["Apple"]}),
]  # fmt: skip
"""A count of -1 is checked by a test of its own below."""


def head_of(path: Path, folder: Path) -> Path:
    """The first rows of a Parquet file; other files whole."""
    if path.suffix != ".parquet":
        return path
    short = folder / path.name
    pl.scan_parquet(path).head(HEAD).sink_parquet(short)
    return short


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.mapping}:{Path(example.path).stem}")
def test_an_example_mapping(
    example: Example, data_folder: Path, tmp_path: Path, bring_in: Callable[..., ImportReport]
) -> None:
    stored: list[Table] = []
    report = bring_in(
        head_of(data_folder / example.path, tmp_path),
        MAPPINGS / f"{example.mapping}.toml",
        on_batch=lambda table, _: stored.append(table),
    )
    assert report.is_complete
    assert report.n_refused == example.n_refused, report.refusals
    for name in ("n_new", "n_left_out", "n_duplicate", "n_changed"):
        if getattr(example, name) >= 0:
            assert getattr(report, name) == getattr(example, name), name
    key, value = next(iter(example.row.items()))
    found = stored[0].frame
    row = (found if key == "title" else found.filter(pl.col(key).eq_missing(pl.lit(value)))).row(0, named=True)
    row["title"] = row["title"] if "title" in row else next((t["title"] for t in row.get("texts", ())), None)
    assert {name: row[name] for name in example.row} == example.row
    pairs = {pair["name"]: pair["value"] for pair in reversed(row.get("attributes", []))}
    assert {name: pairs[name] for name in example.attributes} == example.attributes


def test_every_mapping_file_is_tried_here() -> None:
    assert {example.mapping for example in EXAMPLES} == {path.stem for path in MAPPINGS.glob("*.toml")}
    for path in MAPPINGS.glob("*.toml"):
        assert read_mapping(path).about


def test_a_sequence_becomes_as_many_events_as_it_has_items(
    data_folder: Path, tmp_path: Path, bring_in: Callable[..., ImportReport]
) -> None:
    path = head_of(data_folder / "amazon2014-s3rec" / "Beauty.sequences.parquet", tmp_path)
    stored: list[Table] = []
    report = bring_in(path, MAPPINGS / "amazon2014.sequences.toml", on_batch=lambda table, _: stored.append(table))
    source = pl.read_parquet(path)
    assert report.n_new == source["items"].list.len().sum()
    second = stored[0].frame.filter(pl.col("user_id") == "2")
    assert second["item_id"].to_list() == [str(item) for item in source["items"][1]]
    assert second["time_ms"].diff().drop_nulls().unique().to_list() == [DAY_MS]


def test_returns_and_baskets_of_online_retail(
    data_folder: Path, tmp_path: Path, bring_in: Callable[..., ImportReport]
) -> None:
    path = head_of(data_folder / "online-retail-uci" / "online_retail.parquet", tmp_path)
    stored: list[Table] = []
    report = bring_in(path, MAPPINGS / "online-retail.events.toml", on_batch=lambda table, _: stored.append(table))
    source = pl.read_parquet(path).drop_nulls("CustomerID")
    assert report.n_new == source.unique().height
    assert report.n_new + report.n_duplicate == source.height
    frame = stored[0].frame
    assert frame.filter(pl.col("type") == "refund").height == source.unique().filter(pl.col("Quantity") < 0).height
    assert frame["quantity"].min() == 1
    assert frame["basket_id"].n_unique() == source.select("CustomerID", "InvoiceDate").unique().height


@pytest.mark.parametrize(
    ("mapping", "path", "column"),
    [
        ("online-retail.items", "online-retail-uci/online_retail.parquet", "Description"),
        ("online-retail.users", "online-retail-uci/online_retail.parquet", "CustomerID"),
        ("completejourney.coupons", "completejourney-sample/coupons.parquet", "coupon_upc"),
        ("chinese-reviews.items", "chinese-reviews/online_shopping_10_cats.parquet", "cat"),
        ("womens-clothing.items", "womens-clothing-reviews/reviews.parquet", "Clothing ID"),
    ],
)
def test_what_rows_repeat_is_stored_once(
    mapping: str, path: str, column: str, data_folder: Path, tmp_path: Path, bring_in: Callable[..., ImportReport]
) -> None:
    short = head_of(data_folder / path, tmp_path)
    report = bring_in(short, MAPPINGS / f"{mapping}.toml")
    source = pl.read_parquet(short)
    if mapping == "online-retail.items":
        source = source.filter(pl.col("UnitPrice") > 0).with_columns(pl.col(column).str.strip_chars())
    if mapping == "womens-clothing.items":
        source = source.drop_nulls("Class Name")
    assert report.n_new == source[column].drop_nulls().n_unique()
    assert report.n_rows - report.n_left_out - report.n_duplicate == report.n_new
