"""Commands that take something back: rollback, erase."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from aisle.cli.screen import ShopArgument, opened, out


def rollback(
    shop: ShopArgument,
    source: Annotated[
        str, typer.Argument(help="A source such as linear, ranker, encoder, or text.NAME.", show_default=False)
    ],
) -> None:
    """Put the version of a source, the ranker, the encoder or a fine-tuned model that served before into service again.

    For a model that turned out worse. Processes that serve the shop follow within a second or two.

    Example: aisle rollback myshop linear
    """
    with opened(shop) as open_shop:
        manifest = open_shop.rollback(source)
    out.print(f"{escape(source)} answers from version {manifest.version} again", highlight=False)


def erase(
    shop: ShopArgument,
    user: Annotated[str, typer.Argument(help="A user_id.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove everything recorded of a user: events, profile, the name on lists. It cannot be taken back.

    Models trained before forget at the next training; backups keep what they have.

    Example: aisle erase myshop u17
    """
    with opened(shop) as open_shop:
        if not yes:
            typer.confirm(f"remove everything recorded of user {user!r} from {shop}?", abort=True)
        n_rows = open_shop.erase_user(user)
    out.print(
        f"removed {n_rows:,} rows of user {escape(user)}" if n_rows else f"nothing was recorded of {escape(user)}",
        highlight=False,
    )
    if n_rows:
        out.print(f"next: [bold]aisle train {escape(shop)}[/], so that models forget too", highlight=False)
