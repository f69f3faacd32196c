"""Checks of single values, for records that people build by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from aisle.errors import DataError


def require_whole(owner: str, field: str, value: Any, least: int | None = None) -> None:
    """Refuse anything but None and whole numbers from ``least``: 12.99 must not become 12 cents unnoticed.

    Raises:
        DataError: names the field and the value.
    """
    if value is None:
        return
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or (least is not None and value < least):
        unit = ", in minor units such as cents" if field.endswith("_minor") else ""
        unit = ", in UTC milliseconds" if field.endswith("_ms") else unit
        bound = "" if least is None else f" from {least}"
        raise DataError(f"{field} of {owner} is {value!r}; allowed are whole numbers{bound}{unit}", field=field)


def several(field: str, values: Iterable[str]) -> tuple[str, ...]:
    """``values`` as a tuple. A single text is refused, whose characters would otherwise be taken for the values.

    Raises:
        DataError: names the field and the text.
    """
    if isinstance(values, str):
        raise DataError(f"{field} is the text {values!r}; give a list or a tuple, such as [{values!r}]", field=field)
    return tuple(values)
