"""What of a text must not change when it is said in other words: numbers, their units, sizes, model codes.

Enters: a text in English or Chinese. Leaves: what it counts and measures, comparable between both languages.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

_UNITS: Mapping[str, str] = {
    "mm": "mm millimeter millimeters millimetre millimetres 毫米",
    "cm": "cm centimeter centimeters centimetre centimetres 厘米 公分",
    "m": "m meter meters metre metres 米",
    "km": "km kilometer kilometers kilometre kilometres 公里 千米",
    "in": 'in inch inches " ″ ” 英寸 寸',
    "ft": "ft foot feet ' ′ ’ 英尺",
    "yd": "yd yard yards",
    "ml": "ml milliliter milliliters millilitre millilitres 毫升",
    "cl": "cl",
    "l": "l liter liters litre litres 升 公升",
    "gal": "gal gallon gallons 加仑",
    "mg": "mg 毫克",
    "g": "g gr gram grams gramme grammes 克",
    "kg": "kg kgs kilo kilos kilogram kilograms 千克 公斤",
    "jin": "jin 斤",
    "oz": "oz ounce ounces 盎司",
    "lb": "lb lbs pound pounds 磅",
    "w": "w watt watts 瓦 瓦特",
    "kw": "kw kilowatt kilowatts 千瓦",
    "v": "v volt volts 伏 伏特",
    "mah": "mah 毫安 毫安时",
    "hz": "hz hertz 赫兹",
    "mb": "mb megabyte megabytes",
    "gb": "gb gigabyte gigabytes",
    "tb": "tb terabyte terabytes",
    "%": "% percent",
    "°": "° degree degrees 度",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_COUNTERS = "件只个支包盒袋瓶罐片层人套双条张把台块根卷本颗粒枚对组抽格档节段合位座门码号孔头轮轴入装色"
"""What Chinese counts by; a numeral before one is a number."""
_CHINESE_DIGITS = {"两": 2, **{digit: number for number, digit in enumerate("一二三四五六七八九", 1)}}
_WRITTEN_OUT = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ENGLISH_NUMBERS = {word: str(number) for number, word in enumerate(_WRITTEN_OUT, 2)}
_NUMBER = r"\d+(?:[.,/]\d+)*"
_UNIT = "|".join(sorted(map(re.escape, _UNIT_OF), key=len, reverse=True))
_FOUND = re.compile(rf"(?P<number>{_NUMBER})(?:[\s-]*(?P<unit>{_UNIT})(?![a-z]))?")
_CODE = re.compile(r"[a-z]+\d[a-z\d]*|\d[\d.]*(?!x\d)[a-z]+[a-z\d]*")
_NAMED_CODE = re.compile(r"(?<![A-Za-z0-9])[A-Z]{1,5}-\d[A-Za-z0-9]*")
_TIMES = re.compile(r"(?:(?<=\d)|(?<=\d[\"'m])|(?<=\d(?:cm|mm|in|ft)))\s*[x×*]\s*(?=\d)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SIZE = re.compile(r"(?<![A-Za-z0-9'’.&-])(?<!\d[ -])(?:X{0,4}[SL]|M)(?![A-Za-z0-9'’.&])")
_CHINESE_NUMBER = re.compile(
    rf"([一二两三四五六七八九]?十[一二三四五六七八九]?|[一二两三四五六七八九])(?=[{_COUNTERS}])"
)
_ENGLISH_NUMBER = re.compile(rf"\b({'|'.join(_ENGLISH_NUMBERS)})\b")
_BETWEEN = re.compile(r"[\s\-_]+")


@dataclass(frozen=True)
class Quantities:
    """``numbers`` as written; ``measures`` are numbers with a known unit; ``sizes`` S, M, XL; ``codes`` such as a4."""

    numbers: Counter[str]
    measures: Counter[tuple[str, str]]
    sizes: Counter[str]
    codes: frozenset[str]


def quantities_of(text: str) -> Quantities:
    """What ``text`` counts, measures and names by letters and digits. Words for small numbers count as numbers."""
    plain = unicodedata.normalize("NFKC", text)
    lower = _ENGLISH_NUMBER.sub(lambda found: _ENGLISH_NUMBERS[found[1]], plain.lower())
    lower = _CHINESE_NUMBER.sub(lambda found: str(_chinese_number(found[1])), lower)
    lower = _TIMES.sub(" x ", _THOUSANDS.sub("", lower))
    found = [(match["number"], match["unit"]) for match in _FOUND.finditer(lower)]
    codes = {code for code in _CODE.findall(lower) if not _FOUND.fullmatch(code)}
    codes |= {_joined(code) for code in _NAMED_CODE.findall(plain)}
    return Quantities(
        numbers=Counter(number for number, _ in found),
        measures=Counter((number, _UNIT_OF[unit]) for number, unit in found if unit),
        sizes=Counter(_SIZE.findall(plain)),
        codes=frozenset(codes),
    )


def are_kept(original: str, rewriting: str) -> bool:
    """Whether ``rewriting`` has the numbers, units and sizes of ``original``, no others, and its codes."""
    before, after = quantities_of(original), quantities_of(rewriting)
    joined = _joined(rewriting)
    return (
        before.numbers == after.numbers
        and before.measures == after.measures
        and before.sizes == after.sizes
        and all(code in joined for code in before.codes)
    )


def _joined(text: str) -> str:
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", text).lower())


def _chinese_number(numeral: str) -> int:
    tens, has_ten, ones = numeral.rpartition("十")
    if not has_ten:
        return _CHINESE_DIGITS[numeral]
    return 10 * (_CHINESE_DIGITS[tens] if tens else 1) + (_CHINESE_DIGITS[ones] if ones else 0)
