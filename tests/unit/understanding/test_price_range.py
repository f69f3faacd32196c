from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aisle.understanding.price_range import LIKELY, SURE, find_price


@pytest.mark.parametrize(
    ("text", "low", "high", "probability", "rest"),
    [
        ("black running shoes under 300", None, 30_000, LIKELY, "black running shoes"),
        ("shoes under $50", None, 5_000, SURE, "shoes"),
        ("$20-50 toys", 2_000, 5_000, SURE, "toys"),
        ("between 10 and 20 dollars lamp", 1_000, 2_000, SURE, "lamp"),
        ("lamp from $20 to $10", 1_000, 2_000, SURE, "lamp"),
        ("laptop less than 1k", None, 100_000, LIKELY, "laptop"),
        ("headphones around $100", 8_000, 12_000, SURE, "headphones"),
        ("50 dollars or less gift", None, 5_000, SURE, "gift"),
        ("2x4x8 under $3.50", None, 350, SURE, "2x4x8"),
        ("desk at most 1,299.50", None, 129_950, LIKELY, "desk"),
        ("tea over $20 under $50", 2_000, 5_000, SURE, "tea"),
        ("tea under 50 over 20 dollars", 2_000, 5_000, LIKELY, "tea"),
        ("air max 90 under 100", None, 10_000, LIKELY, "air max 90"),
        ("kettle max $40", None, 4_000, SURE, "kettle"),
        ("wine $15+", 1_500, None, SURE, "wine"),
        ("2000元以下的红色连衣裙", None, 200_000, SURE, "红色连衣裙"),
        ("两百块左右的耳机", 16_000, 24_000, SURE, "耳机"),
        ("三百五以内运动鞋", None, 35_000, LIKELY, "运动鞋"),
        ("1-2千的手机", 100_000, 200_000, LIKELY, "手机"),
        ("1.5万以上电脑", 1_500_000, None, LIKELY, "电脑"),
        ("价格300到500的包", 30_000, 50_000, SURE, "包"),
        ("二手手机1000以下", None, 100_000, LIKELY, "二手手机"),
        ("摇篮，三十以下的", None, 3_000, LIKELY, "摇篮"),
        ("一千零五元以内", None, 100_500, SURE, ""),
        ("两千五以内", None, 250_000, LIKELY, ""),
    ],
)
def test_a_range_is_read_in_the_words_of_two_languages(text, low, high, probability, rest) -> None:
    found, left = find_price(text, "USD" if text.isascii() else "CNY")
    assert found is not None
    assert (found.low_minor, found.high_minor, found.probability, left) == (low, high, probability, rest)


@pytest.mark.parametrize(
    "text",
    [
        "tv over 55 in",
        "under sink cabinet",
        "nike air max 270",
        "candy under 99 cents",
        "cocoa over 70 percent",
        "under 5 ft ladder",
        "5-10 gallon tank",
        "more than 1,000 sq ft heater",
        "age 5 and up toys",
        "4-6 burner grill",
        "1/2-3/4 in. pipe",
        "tv 40-50",
        "€20 max hat",
        "max232芯片",
        "e14max40w灯泡",
        "42码以上运动鞋",
        "5岁以上玩具",
        "三十寸以上电视",
        "100美元以下",
        "六一儿童节",
        "",
    ],
)
def test_sizes_ages_models_and_foreign_money_are_no_price(text) -> None:
    assert find_price(text, "USD" if text.isascii() and "€" not in text else "CNY") == (None, text)


def test_minor_units_are_those_of_the_shops_currency() -> None:
    assert find_price("bag under 300", "JPY")[0].high_minor == 300
    assert find_price("bag under ¥300", "JPY")[0].high_minor == 300
    assert find_price("bag under 300 yen", "USD")[0] is None


@given(st.text(alphabet="0123456789,.-$ under之内以下千万百十元 到k€", max_size=200))
@example("9" * 500)
@example("1-" * 250)
@example("under " * 83)
@example("千" * 500)
@example("0," * 250)
@example("$1 to " * 80)
def test_any_text_is_read_and_ranges_are_ordered(text) -> None:
    found, rest = find_price(text, "USD")
    assert len(rest) <= len(text) + 1
    if found and found.low_minor is not None and found.high_minor is not None:
        assert 0 <= found.low_minor <= found.high_minor
