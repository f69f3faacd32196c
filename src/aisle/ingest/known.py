"""Which mapping is meant: one handed in, a TOML file, a ready adapter by name, or the source's own column names."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from aisle.errors import ConfigError, DataError, unknown_name
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import TableMapping, parse_mapping, read_mapping
from aisle.ingest.peeking import column_names
from aisle.ingest.sources import Source
from aisle.ingest.targets import REQUIRED, TABLES, target_of

_ADAPTERS = files("aisle.ingest") / "adapters"


def known_adapters() -> list[str]:
    """Names of the ready mappings, sorted: GA4, Google Retail, Gorse."""
    return sorted(entry.name.removesuffix(".toml") for entry in _ADAPTERS.iterdir() if entry.name.endswith(".toml"))


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
    """The mapping of a source whose columns have our names already. Other columns are passed over.

    Raises:
        DataError: no table, or more than one, has all it needs; the message says what was understood.
    """
    understood: dict[str, list[str]] = {}
    for table in TABLES:
        known = [name for name in names if target_of(table, name) is not None]
        roots = {name.partition(".")[0] for name in known}
        if all(roots & set(group) for group in REQUIRED[table]):
            understood[table] = known
    # Events name items and users, so a table that needs more columns is the better reading.
    best = max(understood, key=lambda table: len(understood[table]), default=None)
    if best is None:
        wanted = "; ".join(
            f"{table}: {', '.join(' or '.join(group) for group in groups)}" for table, groups in REQUIRED.items()
        )
        raise DataError(
            f"{source} has columns {', '.join(names[:40])}; none of our tables can be made of them by name alone "
            f"({wanted}). Write a mapping, or let `aisle import --guess` begin one",
            source=source,
        )
    return TableMapping.parse(
        {"table": best, "columns": {name: {"from": name} for name in understood[best]}}, "mapping by names"
    )
