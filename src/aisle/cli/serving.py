"""The command that serves a shop over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from aisle.cli.screen import ShopArgument, out, told_errors
from aisle.errors import ConfigError
from aisle.settings import ServingConfig
from aisle.shop import Shop
from aisle.storage.keys import SqlKeys


def serve(
    shop: ShopArgument,
    workers: Annotated[int | None, typer.Option("--workers", "-w", help="Processes that answer.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", help="Port to listen on; 0 takes a free one.")] = None,
    storefront: Annotated[
        bool | None, typer.Option("--storefront/--no-storefront", help="The demonstration shop page.")
    ] = None,
) -> None:
    r"""Serve the shop: REST API, shop page, status page, metrics.

    What is not given here is taken from \[serving] in the shop's aisle.toml. A shop without keys is served to this
    machine alone; `aisle keys add` makes keys. SIGTERM or Ctrl-C ends it and loses nothing.

    Example: aisle serve myshop --workers 2 --port 8080
    """
    given = {"workers": workers, "host": host, "port": port, "storefront": storefront}
    serve_shop(shop, {name: value for name, value in given.items() if value is not None})


def serve_shop(folder: str, changes: dict[str, Any]) -> None:
    """Serve until told to end; ``changes`` replace settings of ``[serving]``."""
    from aisle.serving.supervisor import Supervisor, bound, is_loopback

    with told_errors():
        with Shop.open(folder) as shop:  # checks folder and settings, and brings the tables up to date, once
            config = ServingConfig.parse({**shop.settings.serving.model_dump(), **changes}, "serving")
            records = SqlKeys.open(shop.folder.database)
            has_keys = bool(records.read())
            records.close()
        if not has_keys and not is_loopback(config.host):
            raise ConfigError(
                f"the shop has no keys, so it is not served on {config.host} where others could reach it; "
                f"make one with `aisle keys add {folder} --name web --role write`",
                setting="serving.host",
            )
        listening = bound(config.host, config.port)
        shown_host = f"[{config.host}]" if ":" in config.host else config.host
        address = f"http://{shown_host}:{listening.getsockname()[1]}"
        out.print(f"loading {escape(folder)} ({config.workers} worker{'s' * (config.workers > 1)})", highlight=False)

        def announce() -> None:
            if config.storefront:
                out.print(f"shop page   {address}/", highlight=False)
            out.print(f"status      {address}/status", highlight=False)
            out.print(f"API         {address}/docs", highlight=False)
            out.print(f"metrics     {address}/metrics", highlight=False)
            out.print("ready; Ctrl-C ends it", highlight=False)

        Supervisor(shop.folder.root, config, lambda line: out.print(escape(line), highlight=False)).run(
            listening, announce
        )
    out.print("ended; everything acknowledged is stored")
