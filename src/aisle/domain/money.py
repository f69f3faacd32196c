"""Money: whole units for people, minor units inside.

Digits after the point are ISO 4217's; currencies not listed here have two.
"""

from __future__ import annotations

_WITHOUT_DIGITS = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV")
_CFA_AND_CFP_FRANCS = ("XAF", "XOF", "XPF")
_WITH_THREE_DIGITS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")


def minor_digits(currency: str | None) -> int:
    """How many digits a currency's minor unit has after the point: 2 for USD and CNY, 0 for JPY."""
    if currency in _WITHOUT_DIGITS or currency in _CFA_AND_CFP_FRANCS:
        return 0
    return 3 if currency in _WITH_THREE_DIGITS else 2


def to_minor(amount: float, currency: str | None) -> int:
    """Whole units to minor units, rounded half to even."""
    return round(amount * 10 ** minor_digits(currency))


def shown(amount_minor: int, currency: str | None) -> str:
    """An amount for people, such as ``1,299.00 CNY``."""
    digits = minor_digits(currency)
    return f"{amount_minor / 10**digits:,.{digits}f} {currency or ''}".rstrip()
