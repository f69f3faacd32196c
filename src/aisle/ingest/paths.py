"""Where a value lies inside a JSON record, written as a short path.

    price                       a key
    ecommerce.transaction_id    a key inside an object
    images[0].uri               that key of the first element of a list
    images[].uri                that key of every element of a list: a list of values
    event_params[key=page].value.string_value    the first element whose ``key`` is ``page``
    actions[].(text,subtext[])  several keys in turn, in the order given

A key that holds dots or brackets is found as well when the whole path is a key of the record, and text that is no path
can only be such a key. Absent means None, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Getter = Callable[[Any], Any]

_SEGMENT = re.compile(
    r"(?P<group>\((?P<inner>[^()]*)\))"
    r"|(?P<key>[^.\[\]()]+)(?P<all>\[\])?(?:\[(?P<at>\d{1,6})\])?(?:\[(?P<where>[^\[\]=]+)=(?P<equals>[^\[\]]*)\])?"
)


def compile_path(path: str) -> Getter:
    """A function from a record to the value at ``path``, a list where the path goes through ``[]``."""
    walk = _compile(path)
    if walk is None or not any(mark in path for mark in ".[("):
        return lambda record: record.get(path) if isinstance(record, Mapping) else None

    def get(record: Any) -> Any:
        if isinstance(record, Mapping) and path in record:
            return record[path]
        return walk(record)

    return get


def _compile(path: str) -> Getter | None:
    match = _SEGMENT.match(path)
    rest = path[match.end() :] if match else path
    if match is None or (rest and not rest.startswith(".")):
        return None
    after = _compile(rest[1:]) if rest else None
    if rest and after is None:
        return None
    if match["group"]:
        inner = [_compile(part.strip()) for part in match["inner"].split(",")]
        getters = [getter for getter in inner if getter is not None]
        return _in_turn(getters) if len(getters) == len(inner) and not rest else None
    key = match["key"]
    if match["all"]:
        return _every(key, after)
    if match["at"]:
        return _at(key, int(match["at"]), after)
    if match["where"]:
        return _first_where(key, match["where"], match["equals"], after)
    return _key(key, after)


def _key(key: str, after: Getter | None) -> Getter:
    def get(value: Any) -> Any:
        found = value.get(key) if isinstance(value, Mapping) else None
        return found if after is None or found is None else after(found)

    return get


def _at(key: str, index: int, after: Getter | None) -> Getter:
    def get(value: Any) -> Any:
        found = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(found, list) or index >= len(found):
            return None
        return found[index] if after is None else after(found[index])

    return get


def _every(key: str, after: Getter | None) -> Getter:
    def get(value: Any) -> Any:
        found = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(found, list):
            return None
        values: list[Any] = []
        for element in found:
            result = element if after is None else after(element)
            if isinstance(result, list):
                values.extend(result)
            elif result is not None:
                values.append(result)
        return values

    return get


def _first_where(key: str, where: str, equals: str, after: Getter | None) -> Getter:
    def get(value: Any) -> Any:
        found = value.get(key) if isinstance(value, Mapping) else None
        for element in found if isinstance(found, list) else ():
            if isinstance(element, Mapping) and str(element.get(where)) == equals:
                return element if after is None else after(element)
        return None

    return get


def _in_turn(getters: list[Getter]) -> Getter:
    def get(value: Any) -> Any:
        values: list[Any] = []
        for getter in getters:
            result = getter(value)
            if isinstance(result, list):
                values.extend(result)
            elif result is not None:
                values.append(result)
        return values

    return get
