"""The migrations and the tables agree, and a database of a newer version is left alone."""

from __future__ import annotations

import sqlite3
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from aisle import storage
from aisle.domain import Slate, Slot
from aisle.errors import ConfigError
from aisle.storage import SqlRecords
from aisle.storage.ledger import Ledger
from aisle.storage.schema import REVISION, events, metadata, slates, user_codes
from aisle.storage.sqlite import Database, insert_rows


def test_migrations_make_exactly_the_tables_of_the_schema(tmp_path: Path) -> None:
    SqlRecords.open(tmp_path / "shop.db").close()
    database = Database(tmp_path / "shop.db")
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, metadata)
    database.close()

    assert differences == []


def test_primary_keys_and_storage_of_rows_agree_too(tmp_path: Path) -> None:
    """Alembic compares neither; both decide how fast the shop is."""
    SqlRecords.open(tmp_path / "migrated.db").close()
    made = Database(tmp_path / "made.db")
    metadata.create_all(made.engine)
    made.close()

    def shape(name: str) -> dict[str, list[tuple[object, ...]]]:
        connection = sqlite3.connect(tmp_path / name)
        tables = [row for row in connection.execute("PRAGMA table_list") if row[1] in metadata.tables]
        shapes = {row[1]: [row, *connection.execute(f"PRAGMA table_info({row[1]})")] for row in tables}
        connection.close()
        return shapes

    assert shape("migrated.db") == shape("made.db")


def test_the_newest_migration_is_the_one_the_code_knows() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))

    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    SqlRecords.open(tmp_path / "shop.db").close()
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()

    with pytest.raises(ConfigError, match=r"'9999'.*newer Aisle.*pip install --upgrade"):
        SqlRecords.open(tmp_path / "shop.db")

    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    connection.close()


def test_a_shop_of_the_first_version_keeps_what_it_has(tmp_path: Path) -> None:
    database = Database(tmp_path / "shop.db")
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
    slots = [["kettle", 0.5, 1.0, {"linear": 0.25}], ["boots", 0.25, 0.5, {}]]
    body = {"placement": "home", "time_ms": 7, "query": "tea", "anchors": ["a"], "versions": {"p": "1"}, "slots": slots}
    with database.writer() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        Ledger(seq=2, n_events=1, n_user_codes=1, indexed_seq=1).create(connection)
        insert_rows(connection, user_codes, {"user_code": [0], "user_id": ["ann"]})
        searched = {"seq": [1], "event_key": [5], "user_code": [0], "type": [9], "time_ms": [7], "quantity": [1]}
        insert_rows(connection, events, {**searched, "is_suspect": [False], "query": ["tea"]})
        compressed = zlib.compress(orjson.dumps(body))
        insert_rows(connection, slates, {"seq": [2], "slate_id": ["s"], "user_id": ["ann"], "body": [compressed]})
    database.close()

    records = SqlRecords.open(tmp_path / "shop.db")

    slate = Slate("s", "home", 7, (Slot("kettle", 0.5, 1.0, {"linear": 0.25}), Slot("boots", 0.25, 0.5)), "ann", "tea")
    wanted = replace(slate, anchor_item_ids=("a",), versions={"p": "1"})
    assert records.read_slates(0) == (2, [wanted])
    assert records.read_slate("s") == wanted
    assert [event.query for event in records.list_events(user_id="ann").rows] == ["tea"]
    records.close()


def test_an_upgrade_that_was_cut_short_starts_again(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "shop.db").close()  # an empty file: made, but killed before the first commit

    records = SqlRecords.open(tmp_path / "shop.db")

    assert records.counts()["seq"] == 0
    records.close()


def test_many_may_open_a_new_shop_at_the_same_moment(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: SqlRecords.open(tmp_path / "shop.db"), range(4)))

    assert [store.counts()["seq"] for store in stores] == [0] * 4
    for store in stores:
        store.close()
