"""Prices as people write them: the currency's sign where and as the reader's language has it.

Signs are those of CLDR for English and Chinese; a currency not listed here stands with its code.
"""

from __future__ import annotations

from collections.abc import Mapping

from aisle.domain.money import minor_digits

_SHARED: Mapping[str, str] = {
    "EUR": "€", "GBP": "£", "BRL": "R$", "CAD": "CA$", "HKD": "HK$", "ILS": "₪", "INR": "₹", "MXN": "MX$",
    "NZD": "NZ$", "TWD": "NT$", "VND": "₫",
}  # fmt: skip
_SIGNS: Mapping[str, Mapping[str, str]] = {
    "en": {**_SHARED, "USD": "$", "CNY": "CN¥", "JPY": "¥", "KRW": "₩", "AUD": "A$", "PHP": "₱"},
    "zh": {**_SHARED, "USD": "US$", "CNY": "¥", "JPY": "JP¥", "KRW": "￦", "AUD": "AU$"},
}


def price(amount_minor: int, currency: str | None, language: str) -> str:
    """``amount_minor`` for readers of ``language``: ``$1,299.00``, ``¥1,299.00``, ``CHF 12.50``."""
    digits = minor_digits(currency)
    amount = f"{abs(amount_minor) / 10**digits:,.{digits}f}"
    before = "-" if amount_minor < 0 else ""
    sign = _SIGNS[language].get(currency or "", f"{currency}\N{NO-BREAK SPACE}" if currency else "")
    return f"{before}{sign}{amount}"
