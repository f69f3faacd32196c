"""Brings a database to the tables this version knows, by Alembic, when a shop is opened.

Enters: a database of any earlier version, or an empty one. Leaves: one of this version, or an error that says who must
act. Alembic is imported only when there is something to do.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from aisle.errors import ConfigError
from aisle.storage.ledger import Ledger
from aisle.storage.schema import REVISION, ledger
from aisle.storage.sqlite import Database

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Create or upgrade the tables, in one transaction; several processes may open at the same moment.

    Raises:
        ConfigError: the database was written by a newer version.
        UnavailableError, CorruptError: see ``Database.translating``.
    """
    with database.reading() as connection:
        if _revision(connection) == REVISION:
            return
    with database.writing() as connection:
        found = _revision(connection)
        if found == REVISION:  # another process was quicker
            return
        _run(connection, found, database.path)
        if not connection.execute(ledger.select()).first():
            Ledger().create(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _run(connection: Connection, found: str | None, path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise ConfigError(
            f"{path} has database version {found!r}, this Aisle knows versions up to {REVISION!r}: "
            "it was written by a newer Aisle. Upgrade with `pip install --upgrade aisle`"
        )
    command.upgrade(config, "head")
