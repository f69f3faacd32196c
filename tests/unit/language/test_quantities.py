"""A size must not change when a text is said in other words, and "3 piece" is still "三件"."""

from __future__ import annotations

from collections import Counter

import pytest

from aisle.language.quantities import are_kept, quantities_of

KEPT = [
    ("Enamel kettle 1.5 L red", "Red enamelled kettle, 1.5L"),
    ("Enamel kettle 1.5 L red", "红色搪瓷水壶 1.5升"),
    ("搪瓷水壶 1500毫升", "Enamel kettle 1500 ml"),
    ("Hose 25 ft", "25-foot hose"),
    ('Shelf 24" x 36 in', "Shelf board 24 inch × 36 inches"),
    ("Rug 20x30cm", "Small carpet 20 x 30 cm"),
    ("三件套床品", "Three-piece bedding set"),
    ("十二色水彩笔 24支", "水彩笔 24支 十二色"),
    ("iPhone15 case", "苹果 iPhone 15 手机壳"),
    ("Sony WH-1000XM4 headphones", "WH 1000XM4 over-ear headset by Sony"),
    ("T-shirt XL men's", "XL tee for men"),
    ("睡衣女冬季 M码", "冬天女士睡衣 M 码"),
    ("Pack of 1,000 screws", "1000 screws"),
    ("保温杯", "thermos mug"),
    ("１.５升 水壶", "水壶 1.5L"),
]
CHANGED = [
    ("Enamel kettle 1.5 L red", "Red enamel kettle 1.7 L"),
    ("Enamel kettle 1.5 L red", "Red enamel kettle"),
    ("Enamel kettle red", "Red enamel kettle 2 L"),
    ("Enamel kettle 1.5 L", "Enamel kettle 1.5 ml"),
    ("Hose 25 ft", "Hose 25 m"),
    ("三件套床品", "四件套床品"),
    ("三件套床品", "Four-piece bedding set"),
    ("iPhone15 case", "iPhone15 and 15 case"),
    ("iPhone15 case", "Galaxy15 case"),
    ("Sony WH-1000XM4", "Sony WH-1000XM5"),
    ("drill DL-5", "drill DK-5"),
    ("T-shirt XL", "T-shirt XXL"),
    ("T-shirt M", "T-shirt"),
    ("Bolt 3/4 in", "Bolt 4/3 in"),
    ("Lamp 40 W", "Lamp 40 V"),
    ("牛奶 250毫升 12盒", "牛奶 250毫升 24盒"),
    ("牛奶 250毫升 12盒", "牛奶 12毫升 250盒"),
]


@pytest.mark.parametrize(("original", "rewriting"), KEPT)
def test_the_same_in_other_words(original: str, rewriting: str) -> None:
    assert are_kept(original, rewriting)


@pytest.mark.parametrize(("original", "rewriting"), CHANGED)
def test_something_else(original: str, rewriting: str) -> None:
    assert not are_kept(original, rewriting)


def test_what_is_found_in_a_text() -> None:
    found = quantities_of('六件套 XL 20x30 cm, 5" pan A4 for two')

    assert found.numbers == Counter(["6", "20", "30", "5", "4", "2"])
    assert found.measures == Counter([("30", "cm"), ("5", "in")])
    assert found.sizes == Counter(["XL"])
    assert found.codes == {"a4"}
    assert quantities_of("二十四色 十支 十二只").numbers == Counter(["24", "10", "12"])
