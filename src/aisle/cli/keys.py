"""Commands for the keys with which programs reach a shop over HTTP: add, list, revoke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from aisle.cli.screen import JsonOption, ShopArgument, opened, out, print_json, print_line, rows
from aisle.errors import ConfigError
from aisle.shop import Shop
from aisle.storage.keys import SqlKeys

keys = typer.Typer(no_args_is_help=True, help="Keys for the interface over HTTP: who may read, write or administer.")


@contextmanager
def _keys_of(folder: str) -> Iterator[tuple[Shop, SqlKeys]]:
    with opened(folder) as shop:
        records = SqlKeys.open(shop.folder.database)
        try:
            yield shop, records
        finally:
            records.close()


@keys.command("add")
def add(
    shop: ShopArgument,
    name: Annotated[str, typer.Option("--name", help="Who holds it, such as web or import.", show_default=False)],
    role: Annotated[str, typer.Option("--role", help="read, write or admin; each includes those before it.")] = "read",
) -> None:
    """Make a key and print it, once: it is kept nowhere.

    read asks for lists; write also sends events, items, users and documents; admin also trains and erases.

    Example: aisle keys add myshop --name web --role write
    """
    from aisle.serving.keys import add_key

    with _keys_of(shop) as (open_shop, records):
        token, record = add_key(records, name, role, open_shop.clock)
    print_line(token)
    out.print(f"key {record.key_id} ({role}) for {escape(name)}; it is not shown again", highlight=False)
    out.print("send it as `Authorization: Bearer KEY`; servers that run without keys learn of it when they are started")


@keys.command("list")
def list_(shop: ShopArgument, as_json: JsonOption = False) -> None:
    """Every key: its id, name, role, and whether it was revoked.

    Example: aisle keys list myshop
    """
    with _keys_of(shop) as (_, records):
        known = records.read()
    if as_json:
        shown = ("key_id", "name", "role", "created_ms", "revoked_ms")
        print_json({"keys": [{field: getattr(record, field) for field in shown} for record in known]})
    elif known:
        lines = [
            (record.key_id, escape(record.name), record.role, _day(record.created_ms), _day(record.revoked_ms))
            for record in known
        ]
        out.print(rows(("id", "name", "role", "made", "revoked"), lines, "keys"))
    else:
        out.print(f"no keys; make one with [bold]aisle keys add {escape(shop)} --name web[/]", highlight=False)


@keys.command("revoke")
def revoke(
    shop: ShopArgument,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `aisle keys list` shows it.", show_default=False)],
) -> None:
    """Take a key back; running servers refuse it within two seconds.

    Example: aisle keys revoke myshop 1f0c9a7be210
    """
    with _keys_of(shop) as (open_shop, records):
        if not records.revoke(key_id, open_shop.clock()):
            raise ConfigError(f"no key {key_id!r} that is in use; `aisle keys list {shop}` shows them")
    out.print(f"key {escape(key_id)} is refused from now on", highlight=False)


def _day(milliseconds: int | None) -> str:
    return "" if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")
