"""Prices that a query asks for: ``under 300``, ``$20-50``, ``2000元以下``, ``两百块左右``.

Enters: a query's text and the shop's currency. Leaves: the range, how sure it is, and the text without it. Knows
nothing of what the shop sells: a bare number before a word of measure (``under 24 in``) is left as a size.
"""

from __future__ import annotations

import math
import re

from aisle.domain import PriceRange
from aisle.domain.money import to_minor

SURE, LIKELY = 0.98, 0.8
"""How sure a range is that names a currency, and one that only says ``under 300``."""
_AROUND = 0.2
"""``about 100`` means from 80 to 120."""
_LARGEST = 10**12
"""Minor units; what is beyond is no price."""

_SIGNS = {
    "$": None,  # many currencies are written so: the shop's own
    "us$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": None,
    "usd": "USD",
    "dollars": None,
    "dollar": None,
    "bucks": None,
    "eur": "EUR",
    "euros": "EUR",
    "euro": "EUR",
    "gbp": "GBP",
    "pounds": "GBP",
    "quid": "GBP",
    "rmb": "CNY",
    "cny": "CNY",
    "yuan": "CNY",
    "jpy": "JPY",
    "yen": "JPY",
    "人民币": "CNY",
    "元": None,
    "圆": None,
    "块钱": None,
    "块": None,
    "美元": "USD",
    "欧元": "EUR",
    "日元": "JPY",
}
_DIGIT = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_TENS = {"十": 10, "百": 100, "千": 1_000, "万": 10_000}

_BEFORE = "us\\$|[$€£¥]"
_AFTER = "|".join(re.escape(name) for name in sorted(_SIGNS, key=len, reverse=True) if name not in "$€£¥us$")
_PLAIN = r"(?<!\d)(?:\d{1,3}(?:,\d{3}){1,3}|\d{1,12})(?:\.\d{1,2})?"
_NUMERAL = "[零〇一二两三四五六七八九十百千万]"
_CHINESE = f"(?<!{_NUMERAL}){_NUMERAL}{{1,12}}"


def _amount(name: str) -> str:
    """A pattern for one amount with what is written around it."""
    return (
        rf"(?P<{name}_sign>{_BEFORE})?\s*(?P<{name}>{_PLAIN}|{_CHINESE})(?P<{name}_times>k\b|千|万)?"
        rf"\s*(?P<{name}_unit>(?:{_AFTER})(?![a-z]))?"
    )


_END = r"(?![\d.,]*\d)"
_AT_MOST = (
    r"(?:under|below|less\s+than|lower\s+than|cheaper\s+than|up\s+to|at\s+most|no\s+more\s+than|max(?:imum)?|within)"
    r"(?![a-z0-9])|<=?|"
    "不超过|不高于|低于|少于|小于|最多"
)
_AT_LEAST = (
    r"(?:over|above|more\s+than|higher\s+than|at\s+least|no\s+less\s+than|min(?:imum)?|starting\s+at)(?![a-z0-9])|>=?|"
    "不低于|不少于|高于|超过|大于|至少"
)
_NEAR = r"(?:about|around|approx(?:imately)?)(?![a-z0-9])|~|大约|大概|差不多"
_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("between", rf"(?:\bbetween|\bfrom)\s+{_amount('a')}\s*(?:and|to|-)\s*{_amount('b')}{_END}"),
        ("between", rf"(?<![A-Za-z0-9_./-]){_amount('a')}\s*(?:-|–|~|to|到|至)\s*{_amount('b')}{_END}(?![/-])"),
        ("most", rf"(?<![a-z])(?:{_AT_MOST})\s*(?:price\s+)?{_amount('a')}{_END}"),
        ("least", rf"(?<![a-z])(?:{_AT_LEAST})\s*(?:price\s+)?{_amount('a')}{_END}"),
        ("near", rf"(?<![a-z])(?:{_NEAR})\s*{_amount('a')}{_END}"),
        (
            "most",
            rf"(?<![A-Za-z0-9_./-]){_amount('a')}\s*(?:以下|以内|之内|之下|or\s+less|or\s+under|and\s+under|max\b)",
        ),
        ("least", rf"(?<![A-Za-z0-9_./-]){_amount('a')}\s*(?:以上|之上|起|or\s+more|and\s+up|\+)"),
        ("near", rf"(?<![A-Za-z0-9_./-]){_amount('a')}\s*(?:左右|上下|or\s+so)"),
    )
)
_SAID_AS_PRICE = re.compile("价格|价位|预算|售价|\\bprice[ds]?\\b|\\bbudget\\b|\\bcosts?\\b", re.IGNORECASE)
_LEFT_OVER = re.compile(
    r"(?:^|\s)(?:的|priced?|price|cost(?:ing|s)?|for|at|budget|价格|价位|预算)(?=\s|$)", re.IGNORECASE
)
_IN_NAMES = re.compile(r"(?:max|min)\b", re.IGNORECASE)
"""What stands before numbers in names too (``air max 90``)."""
_MEASURED = re.compile(
    r"^[\s.]*(?:[\"'″′%°x×*]|(?:in|ins|inch|inches|ft|foot|feet|yd|yards?|cm|mm|m|km|kg|g|lb|lbs|oz|ml|l|gal|gallons?|qt|w|"
    r"watts?|v|volts?|amps?|a|hz|btu|gb|tb|mp|mah|pcs?|pieces?|packs?|pk|count|ct|years?|yrs?|months?|days?|hours?|"
    r"hrs?|minutes?|min|people|persons?|players?|degrees?|deg|gauge|ga|psi|gpm|cfm|hp|rpm|sq|cu|square|cubic|"
    r"thread|grit|lumens?|seat(?:er|s)?|stars?|cents?|percent|proof)(?![a-z])|[码寸英厘毫米公斤克升瓦伏安度岁个月年天人件只支双片粒瓶盒包寸])",
    re.IGNORECASE,
)


def find_price(text: str, currency: str) -> tuple[PriceRange | None, str]:
    """The range that ``text`` asks for, or None, and the text without it.

    Args:
        text: the query in NFKC.
        currency: the shop's; an amount that names another one is no limit here and stays in the text.

    Bare numbers count only with a word such as ``under`` and not before a measure. The first range counts, and where
    it is open at one end, one that closes it (``over $20 under $50``). Cost: some 20 microseconds.
    """
    found, rest = _first_price(text, currency)
    if found is None:
        return None, text
    other, shorter = _first_price(rest, currency)
    both = None if other is None else _closed(found, other)
    return (found, rest) if both is None else (both, shorter)


def _closed(one: PriceRange, other: PriceRange) -> PriceRange | None:
    """Both ends of two ranges that are open at different ones; None where they do not meet."""
    for low, high in ((one, other), (other, one)):
        if low.low_minor is None or low.high_minor is not None or high.low_minor is not None or high.high_minor is None:
            continue
        if low.low_minor <= high.high_minor:
            return PriceRange(low.low_minor, high.high_minor, min(low.probability, high.probability))
    return None


def _first_price(text: str, currency: str) -> tuple[PriceRange | None, str]:
    if not any(one.isdigit() or one in _DIGIT or one in _TENS for one in text):
        return None, text
    for kind, form in _FORMS:
        for match in form.finditer(text):
            found = _read(kind, match, text, currency)
            if found is not None:
                rest = f"{text[: match.start()]} {text[match.end() :]}"
                return found, " ".join(_LEFT_OVER.sub(" ", " ".join(rest.split())).split()).strip("的,，、;；")
    return None, text


def _read(kind: str, match: re.Match[str], text: str, currency: str) -> PriceRange | None:
    parts = match.groupdict()
    names = [name for name in ("a", "b") if parts.get(name)]
    marks = [parts[f"{name}_{place}"] for name in names for place in ("sign", "unit") if parts[f"{name}_{place}"]]
    if any(_SIGNS[mark.lower()] not in (None, currency) for mark in marks):
        return None
    is_said = bool(marks) or bool(_SAID_AS_PRICE.search(text))
    if not is_said and (_MEASURED.match(text[match.end() :]) or _is_loose(kind, match, parts)):
        return None
    amounts = [_value(parts[name], parts[f"{name}_times"]) for name in names]
    if len(names) == 2 and parts["b_times"] and not parts["a_times"] and amounts[0] < amounts[1] / 100:
        amounts[0] = _value(parts["a"], parts["b_times"])  # 1-2千
    if not all(0 < amount < math.inf for amount in amounts):
        return None
    minor = [to_minor(amount, currency) for amount in amounts]
    if max(minor) > _LARGEST:
        return None
    probability = SURE if is_said else LIKELY
    if kind == "between":
        return PriceRange(min(minor), max(minor), probability)
    if kind == "most":
        return PriceRange(None, minor[0], probability)
    if kind == "least":
        return PriceRange(minor[0], None, probability)
    return PriceRange(round(minor[0] * (1 - _AROUND)), round(minor[0] * (1 + _AROUND)), probability)


def _is_loose(kind: str, match: re.Match[str], parts: dict[str, str | None]) -> bool:
    """Whether bare numbers are likelier a size, a model or a count: ``20-50``, ``5+``, ``42以上``, ``约三``."""
    if parts["a_times"] in ("千", "万") or parts.get("b_times") in ("千", "万"):
        return False
    if kind == "between":
        return not match.group().lower().startswith(("between", "from")) or _is_small(parts)
    begins_with_number = match.group().lstrip()[:1] in "0123456789" or match.group().lstrip()[:1] in {*_DIGIT, *_TENS}
    if kind == "near" or _IN_NAMES.match(match.group()):
        return True
    return _is_small(parts) or (begins_with_number and kind == "least")


def _is_small(parts: dict[str, str | None]) -> bool:
    """Numbers below ten say how many or how large more often than how dear."""
    return any(_value(parts[name] or "", parts.get(f"{name}_times")) < 10 for name in ("a", "b") if parts.get(name))


def _value(written: str, times: str | None) -> float:
    """An amount in whole units: ``1,299.50``, ``2k``, ``三百五``, ``1.5万``."""
    is_chinese = written[0] in _DIGIT or written[0] in _TENS
    value = float(_chinese(written) if is_chinese else written.replace(",", ""))
    return value * {"k": 1_000, "千": 1_000, "万": 10_000}.get((times or "").lower(), 1)


def _chinese(written: str) -> int:
    """A number in Chinese characters; a last digit without its place counts in the next one (``三百五`` is 350)."""
    whole, section, digit, place = 0, 0, 0, 1
    for character in written:
        if character in _DIGIT:
            digit = digit * 10 + _DIGIT[character] if place == 1 else _DIGIT[character]
            continue
        place = _TENS[character]
        if place == 10_000:
            whole, section, digit = (whole + section + digit) * place, 0, 0
        else:
            section, digit = section + (digit or 1) * place, 0
    return whole + section + digit * (place // 10 if place >= 100 and digit and written[-2] not in "零〇" else 1)
