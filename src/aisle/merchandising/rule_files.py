"""Rules in files: TOML, JSON and CSV, read and written.

In files ``from`` and ``until`` may be dates. A CSV row is one rule; its ``value`` is written as the action needs it:

    synonyms     sofa|couch                      pin         green-tea@1|kettle@3
    one_way      tv => television|flat screen    boost       brand:Maple|item:k1|category:Tea|attribute:colour=red
    stop_words   cheap|best                      redirect    /sale
    replace      television                      filter      brand:Maple|max_price_minor:3000
"""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from aisle.errors import ConfigError, DataError, UnavailableError
from aisle.wire.rules import MOST_RULES, MOST_RULES_BYTES, QueryRule

RuleFormat = Literal["toml", "json", "csv"]
FORMATS: tuple[RuleFormat, ...] = ("toml", "json", "csv")
COLUMNS = (
    "id", "action", "value", "factor", "equals", "contains", "category", "item_kind", "language", "placements", "from",
    "until", "note",
)  # fmt: skip
_TARGETS = {"item": "item_ids", "brand": "brands", "category": "categories", "attribute": "attributes"}
_PRICES = ("min_price_minor", "max_price_minor")


def read_rules(path: str | Path) -> tuple[QueryRule, ...]:
    """The rules of a file, in its order; its ending says what it is.

    Raises:
        ConfigError: another ending.
        DataError: it cannot be read, or a rule is wrong; names the rule and the field.
        UnavailableError: the file is not there or cannot be opened.
    """
    path = Path(path)
    form = format_of(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > MOST_RULES_BYTES:
        raise DataError(f"{path} has {len(raw):,} bytes; at most {MOST_RULES_BYTES:,} are read", source=str(path))
    try:
        text = raw.decode("utf-8-sig")
        tables = _from_csv(text) if form == "csv" else (tomllib.loads(text) if form == "toml" else json.loads(text))
    except (ValueError, RecursionError, csv.Error) as error:
        raise DataError(f"{path} is not {form.upper()} in UTF-8: {error}", source=str(path)) from error
    rules = tables.get("rules") if isinstance(tables, Mapping) else tables
    if not isinstance(rules, Sequence) or isinstance(rules, str) or (isinstance(tables, Mapping) and len(tables) != 1):
        raise DataError(f"{path}: a list `rules` is needed, and nothing beside it", source=str(path))
    return parse_rules(rules, source=str(path))


def format_of(path: Path) -> RuleFormat:
    """What a file is by its ending."""
    for form in FORMATS:
        if path.suffix.lower() == f".{form}":
            return form
    raise ConfigError(f"{path.name}: rules are read and written as .toml, .json or .csv")


def parse_rules(tables: Iterable[Any], *, source: str | None = None) -> tuple[QueryRule, ...]:
    """Rules of plain tables; raises ``DataError`` for the first that is wrong, ``row`` counts from 1."""
    found: list[QueryRule] = []
    for row, table in enumerate(tables, 1):
        if row > MOST_RULES:
            raise DataError(f"there are more than {MOST_RULES:,} rules, which is the most", source=source)
        found.append(_parse(table, row, source))
    return tuple(found)


def rule_of_cells(cells: Mapping[str, str]) -> QueryRule:
    """The rule that a row of a CSV file says, by column. Raises ``DataError`` as ``parse_rules`` does."""
    try:
        table = _table_of({name: cell.strip() for name, cell in cells.items() if cell})
    except ValueError as error:
        raise DataError(
            f"factor = {cells.get('factor', '')[:60]!r}: give a number such as 2.5", field="factor"
        ) from error
    return parse_rules([table])[0]


def _parse(table: Any, row: int, source: str | None) -> QueryRule:
    where = f"rule {row}" + (f" of {source}" if source else "")
    if not isinstance(table, Mapping):
        raise DataError(f"{where} is no table", source=source, row=row)
    named = table.get("id")
    if isinstance(named, str):
        where = f"{where} ({named[:100]!r})"
    try:
        return QueryRule.model_validate_json(orjson.dumps(_dated(table)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        message = f"{where}: {field} = {first.get('input')!r:.120}: {what}" if field else f"{where}: {what}"
        raise DataError(message, source=source, row=row, field=field or None) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{where}: {error}", source=source, row=row) from error


def _dated(table: Mapping[str, Any]) -> dict[str, Any]:
    """``from`` and ``until`` of a condition as milliseconds."""
    when = table.get("when")
    if not isinstance(when, Mapping):
        return dict(table)
    known = {name: value for name, value in when.items() if name not in ("from", "until")}
    for name in ("from", "until"):
        if name in when:
            known[f"{name}_ms"] = _milliseconds(when[name], name)
    return {**table, "when": known}


def _milliseconds(value: Any, name: str) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(
                f"{name} = {value[:60]!r}: give a date such as 2026-05-01 or 2026-05-01T08:00:00Z"
            ) from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError(f"{name} = {value!r}: give a date such as 2026-05-01 or 2026-05-01T08:00:00Z")
    return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)


def write_rules(rules: Sequence[QueryRule], form: RuleFormat) -> str:
    """The text of a file that ``read_rules`` reads as these rules.

    Raises:
        DataError: as CSV, where a value holds one of the signs that part values there.
    """
    plain = [rule.model_dump(mode="json", exclude_defaults=True) for rule in rules]
    if form == "json":
        return json.dumps({"rules": plain}, ensure_ascii=False, indent=2) + "\n"
    if form == "toml":
        return "\n".join(_toml_of(table) for table in plain)
    file = io.StringIO()
    written = csv.writer(file, lineterminator="\n")
    written.writerow(COLUMNS)
    for table in plain:
        row = _row_of(table)
        written.writerow([row.get(name, "") for name in COLUMNS])
    return file.getvalue()


def _toml_of(table: Mapping[str, Any]) -> str:
    return "[[rules]]\n" + "".join(f"{name} = {_toml_value(value)}\n" for name, value in table.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml_value(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _from_csv(text: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    unknown = [name for name in reader.fieldnames or () if name not in COLUMNS]
    if unknown or not {"id", "action", "value"} <= set(reader.fieldnames or ()):
        raise ValueError(f"its columns are {reader.fieldnames}; id, action and value are needed, allowed are {COLUMNS}")
    return [_table_of({name: cell.strip() for name, cell in row.items() if name and cell}) for row in reader]


def _table_of(row: Mapping[str, str]) -> dict[str, Any]:
    kind, value = row.get("action", ""), row.get("value", "")
    when: dict[str, Any] = {
        name: row[name]
        for name in ("equals", "contains", "category", "item_kind", "language", "from", "until")
        if row.get(name)
    }
    if row.get("placements"):
        when["placements"] = _parts(row["placements"])
    table: dict[str, Any] = {"id": row.get("id", ""), "action": {"kind": kind, **_action_of(kind, value)}}
    if row.get("factor"):
        table["action"]["factor"] = float(row["factor"])
    if when:
        table["when"] = when
    if row.get("note"):
        table["note"] = row["note"]
    return table


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split("|") if part.strip()]


def _action_of(kind: str, value: str) -> dict[str, Any]:
    match kind:
        case "synonyms" | "stop_words":
            return {"words": _parts(value)}
        case "one_way":
            word, _, finds = value.partition("=>")
            return {"word": word.strip(), "finds": _parts(finds)}
        case "replace":
            whole, sign, text = value.partition("match:")
            return {"text": text, "part": "match"} if sign and not whole else {"text": value}
        case "pin":
            pairs = [part.rpartition("@") for part in _parts(value)]
            return {"items": [{"item_id": item, "position": _whole(at)} for item, _, at in pairs]}
        case "boost" | "bury" | "hide":
            return {"target": _named(value)}
        case "redirect":
            return {"url": value}
        case "filter":
            return _named(value)
        case _:
            return {}


def _whole(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) < 10 else text


def _named(value: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in _parts(value):
        name, _, of_name = part.partition(":")
        if name in _PRICES:
            found[name] = _whole(of_name)
        elif name == "attribute":
            attribute, _, wanted = of_name.partition("=")
            found.setdefault("attributes", []).append({"name": attribute, "value": wanted})
        else:
            found.setdefault(_TARGETS.get(name, name), []).append(of_name)
    return found


def row_of(rule: QueryRule) -> dict[str, str]:
    """A rule as a row of a CSV file, for people to read: what parts values is not looked at."""
    return _cells_of(rule.model_dump(mode="json", exclude_defaults=True))


def _row_of(table: Mapping[str, Any]) -> dict[str, str]:
    row = _cells_of(table)
    if _table_of(row) != _table_of_plain(table):
        raise DataError(f"rule {table['id']!r} cannot be written as CSV; write TOML or JSON", field="id")
    return row


def _cells_of(table: Mapping[str, Any]) -> dict[str, str]:
    when = dict(table.get("when", {}))
    for name in ("from", "until"):
        if f"{name}_ms" in when:
            when[name] = datetime.fromtimestamp(when.pop(f"{name}_ms") / 1000, UTC).isoformat(timespec="milliseconds")
    if "placements" in when:
        when["placements"] = "|".join(when["placements"])
    action = dict(table["action"])
    row = {
        "id": table["id"],
        "action": action["kind"],
        "factor": action.get("factor", ""),
        "note": table.get("note", ""),
    }
    row |= {**when, "value": _value_of(action)}
    return {name: str(cell) for name, cell in row.items()}


def _table_of_plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as ``_table_of`` makes it: times as they are written."""
    when = dict(table.get("when", {}))
    for name in ("from", "until"):
        if f"{name}_ms" in when:
            when[name] = datetime.fromtimestamp(when.pop(f"{name}_ms") / 1000, UTC).isoformat(timespec="milliseconds")
    return {**table, "when": when} if when else dict(table)


def _value_of(action: Mapping[str, Any]) -> str:
    match action["kind"]:
        case "synonyms" | "stop_words":
            return "|".join(action["words"])
        case "one_way":
            return f"{action['word']} => {'|'.join(action['finds'])}"
        case "replace":
            return ("match:" if action.get("part") == "match" else "") + action["text"]
        case "pin":
            return "|".join(f"{item['item_id']}@{item['position']}" for item in action["items"])
        case "boost" | "bury" | "hide":
            return _of_names(action["target"])
        case "redirect":
            return action["url"]
        case _:
            return _of_names({name: value for name, value in action.items() if name != "kind"})


def _of_names(named: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for name, field in _TARGETS.items():
        for one in named.get(field, ()):
            parts.append(f"attribute:{one['name']}={one['value']}" if name == "attribute" else f"{name}:{one}")
    parts += [f"{name}:{named[name]}" for name in _PRICES if name in named]
    return "|".join(parts)
