"""Run by Alembic: applies the steps on the connection that ``upgrades.py`` hands over, inside its transaction."""

from alembic import context

from aisle.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
