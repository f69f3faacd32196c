"""Which mapping is meant: one handed in, a TOML file, a ready adapter by name, or the source's own column names."""

from __future__ import annotations

import shlex
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from aisle.errors import ConfigError, DataError, unknown_name
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import TableMapping, parse_mapping, read_mapping
from aisle.ingest.parsing import texts
from aisle.ingest.peeking import column_names, peek
from aisle.ingest.sources import Source
from aisle.ingest.synonyms import TYPE_SPELLINGS, columns_found, is_certain
from aisle.ingest.targets import REQUIRED, TABLES, target_of

PATH_SEPARATOR = ">"
"""Between the steps of a category path written as text, where no mapping names another."""
_ADAPTERS = files("aisle.ingest") / "adapters"


def known_adapters() -> list[str]:
    """Names of the ready mappings, sorted: GA4, Google Retail, Gorse."""
    return sorted(entry.name.removesuffix(".toml") for entry in _ADAPTERS.iterdir() if entry.name.endswith(".toml"))


@cache
def adapter(name: str) -> TableMapping:
    """The ready mapping ``name``. Raises ``ConfigError`` listing the known ones."""
    if name not in known_adapters():
        raise ConfigError(unknown_name("mapping", name, known_adapters()), setting="mapping")
    return parse_mapping((_ADAPTERS / f"{name}.toml").read_text(encoding="utf-8"), f"adapter {name}")


def find_mapping(given: TableMapping | str | Path | None, source: Source, limits: LimitsConfig) -> TableMapping:
    """The mapping that ``given`` means; ``source`` is looked into only when there is none.

    Raises:
        ConfigError: neither a file nor a known adapter, or the mapping lacks a required column.
    """
    if isinstance(given, TableMapping):
        mapping = given
    elif given is None:
        mapping = mapping_by_names(column_names(source, limits), source.name)
    elif Path(given).suffix == ".toml":
        mapping = read_mapping(Path(given))
    else:
        mapping = adapter(str(given))
    check_required(mapping)
    return mapping


def check_required(mapping: TableMapping) -> None:
    """Raise ``ConfigError`` when ``mapping`` does not make what its table cannot do without."""
    made = {(target_of(mapping.table, name) or (name, None))[0] for name in mapping.fields()}
    for names in REQUIRED[mapping.table]:
        if not made & set(names):
            raise ConfigError(
                f"the mapping of {mapping.table} does not make {' or '.join(names)}; add it under [columns] or "
                f"[constants]. It makes: {', '.join(sorted(made)) or 'nothing'}",
                setting="columns." + names[0],
            )


def mapping_by_names(names: list[str], source: str) -> TableMapping:
    """The mapping of a source whose columns have our names, or common ones that can mean nothing else (``synonyms``).
    Other columns are passed over.

    Raises:
        DataError: no table has all it needs, or the names could mean several; the message says what to do.
    """
    understood: dict[str, dict[str, str]] = {}
    competing: dict[str, dict[str, list[str]]] = {}
    for table in _tables_named(names):
        found, doubtful = columns_found(table, names)
        roots = {target.partition(".")[0] for target in (*found, *doubtful)}
        if all(roots & set(group) for group in REQUIRED[table]) and is_certain(table, found):
            understood[table] = found
            competing[table] = {ours: theirs for ours, theirs in doubtful.items() if _is_needed(table, ours)}
    # Events name items and users, so a table that needs more columns is the better reading.
    most = max(map(len, understood.values()), default=0)
    best = [table for table, found in understood.items() if len(found) == most]
    doubts = competing[best[0]] if len(best) == 1 else {}
    if len(best) != 1 or doubts:
        raise DataError(_not_understood(names, source, best, doubts), source=source)
    columns: dict[str, Any] = {target: {"from": name} for target, name in understood[best[0]].items()}
    if best[0] == "events" and "type" in columns:
        columns["type"]["map"] = dict(TYPE_SPELLINGS)
    if "category" in columns:
        columns["category"]["split"] = PATH_SEPARATOR
    return TableMapping.parse({"table": best[0], "columns": columns}, "mapping by names")


def read_as(mapping: TableMapping, source: Source, limits: LimitsConfig) -> dict[str, str]:
    """What a mapping by names read under another name: columns, and event types among the first rows."""
    renamed = {
        field.source: target
        for target, field in mapping.columns.items()
        if isinstance(field.source, str) and field.source != target
    }
    kind = mapping.columns.get("type")
    if kind is not None and isinstance(kind.source, str) and kind.map:
        seen = texts(peek(source, limits)[kind.source]).str.strip_chars().drop_nulls().unique(maintain_order=True)
        renamed |= {value: kind.map[value] for value in seen if value in kind.map}
    return renamed


def _is_needed(table: str, target: str) -> bool:
    """Whether a doubt about one of our columns is a doubt about the whole source; others are passed over."""
    return target == "item_id" or any(target in group for group in REQUIRED[table])


def _tables_named(names: list[str]) -> list[str]:
    """The tables that a source may be; one that names both a user and an item tells what happened between them."""
    behaviour = columns_found("events", names)
    targets = {*behaviour[0], *behaviour[1]}
    return ["events"] if {"user_id", "item_id"} <= targets else list(TABLES)


def _not_understood(names: list[str], source: str, best: list[str], competing: dict[str, list[str]]) -> str:
    begin = f"`aisle import SHOP {shlex.quote(source)} --guess` prints a mapping to begin with. "
    if competing:
        clashes = "; ".join(f"{' and '.join(theirs)} could each be {ours}" for ours, theirs in competing.items())
        return f"{begin}{source} leaves a doubt: {clashes}; say in a mapping which is meant"
    if best:
        return f"{begin}{source} leaves a doubt: its columns {', '.join(names[:40])} could be {' or '.join(best)}"
    wanted = "; ".join(
        f"{table}: {', '.join(' or '.join(group) for group in groups)}" for table, groups in REQUIRED.items()
    )
    return (
        f"{begin}{source} has columns {', '.join(names[:40])}; none of our tables can be made of them by name alone "
        f"({wanted})"
    )
