"""Commands that ask the shop: search, suggest, recommend, similar, basket."""

from __future__ import annotations

import math
from typing import Annotated

import typer
from rich.markup import escape

from aisle.cli.screen import (
    JsonOption,
    ShopArgument,
    SizeOption,
    UserOption,
    opened,
    out,
    print_json,
    show_response,
)
from aisle.domain import Context, Filters
from aisle.domain.money import to_minor
from aisle.errors import ConfigError
from aisle.flows.asks import Ask
from aisle.shop import Shop

ItemsArgument = Annotated[list[str], typer.Argument(metavar="ITEM...", help="Item ids.", show_default=False)]
LanguageOption = Annotated[str | None, typer.Option("--language", help="Language of the answer, such as en or zh.")]
CategoryOption = Annotated[
    list[str] | None, typer.Option("--category", help='Only this category or below, such as "Kitchen > Kettles".')
]
BrandOption = Annotated[list[str] | None, typer.Option("--brand", help="Only this brand; may be repeated.")]
MinPriceOption = Annotated[float | None, typer.Option("--min-price", help="At least this price, in whole units.")]
MaxPriceOption = Annotated[float | None, typer.Option("--max-price", help="At most this price, in whole units.")]


def filters_of(
    shop: Shop,
    category: list[str] | None,
    brand: list[str] | None,
    min_price: float | None,
    max_price: float | None,
) -> Filters:
    """Filters as the shop knows them: minor units of its currency, tuples."""
    currency = shop.settings.shop.currency
    return Filters(
        categories=tuple(category or ()),
        brands=tuple(brand or ()),
        min_price_minor=_minor("--min-price", min_price, currency),
        max_price_minor=_minor("--max-price", max_price, currency),
    )


def _minor(option: str, price: float | None, currency: str) -> int | None:
    if price is None:
        return None
    if not math.isfinite(price):
        raise ConfigError(f"{option} is {price}; give an amount such as 29.90")
    return to_minor(price, currency)


def search(
    shop: ShopArgument,
    query: Annotated[str, typer.Argument(help="What a customer would type.", show_default=False)],
    user: UserOption = None,
    size: SizeOption = None,
    category: CategoryOption = None,
    brand: BrandOption = None,
    min_price: MinPriceOption = None,
    max_price: MaxPriceOption = None,
    as_typed: Annotated[bool, typer.Option("--as-typed", help="Take no word for another spelling.")] = False,
    json: JsonOption = False,
) -> None:
    """Search the catalogue.

    Example: aisle search myshop "red kettle" --max-price 30
    """
    with opened(shop) as open_shop:
        filters = filters_of(open_shop, category, brand, min_price, max_price)
        ask = Ask(user_id=user, text=query, size=size, filters=filters, is_as_typed=as_typed)
        [response] = open_shop.ask_search([ask])
        show_response(open_shop, response, f"search: {query}", json)


def suggest(
    shop: ShopArgument,
    prefix: Annotated[str, typer.Argument(help="The first characters typed.", show_default=False)],
    size: Annotated[int, typer.Option("--size", "-n", min=1, max=100)] = 10,
    language: LanguageOption = None,
    json: JsonOption = False,
) -> None:
    """Complete what a customer has begun to type.

    Example: aisle suggest myshop ket
    """
    with opened(shop) as open_shop:
        suggestions = open_shop.suggest(prefix, size=size, language=language)
        if json:
            print_json({"prefix": prefix, "suggestions": [suggestion.text for suggestion in suggestions]})
            return
        for suggestion in suggestions:
            out.print(escape(suggestion.text), highlight=False)
        if not suggestions:
            out.print(f"nothing begins with {escape(repr(prefix))}")


def recommend(
    shop: ShopArgument,
    placement: Annotated[str, typer.Argument(help="Which list: a placement of aisle.toml, such as similar-items.")] = (
        "recommended-for-you"
    ),
    user: UserOption = None,
    item: Annotated[list[str] | None, typer.Option("--item", help="What the list is about; may be repeated.")] = None,
    size: SizeOption = None,
    category: CategoryOption = None,
    brand: BrandOption = None,
    min_price: MinPriceOption = None,
    max_price: MaxPriceOption = None,
    language: LanguageOption = None,
    json: JsonOption = False,
) -> None:
    """Recommend items for a user in a placement.

    Example: aisle recommend myshop --user u17
    """
    with opened(shop) as open_shop:
        response = open_shop.recommend(
            placement,
            user_id=user,
            item_ids=item or (),
            size=size,
            filters=filters_of(open_shop, category, brand, min_price, max_price),
            context=Context(language=language),
        )
        show_response(open_shop, response, f"{placement} for {user or 'anybody'}", json)


def similar(
    shop: ShopArgument,
    item: Annotated[str, typer.Argument(help="An item id.", show_default=False)],
    size: SizeOption = None,
    json: JsonOption = False,
) -> None:
    """Show items like one item.

    Example: aisle similar myshop kettle-01
    """
    with opened(shop) as open_shop:
        show_response(open_shop, open_shop.similar(item, size=size), f"similar to {item}", json)


def basket(
    shop: ShopArgument,
    items: ItemsArgument,
    user: UserOption = None,
    size: SizeOption = None,
    json: JsonOption = False,
) -> None:
    """Show what goes with the items in a basket.

    Example: aisle basket myshop kettle-01 tea-07
    """
    with opened(shop) as open_shop:
        response = open_shop.complete_basket(items, user_id=user, size=size)
        show_response(open_shop, response, f"goes with {', '.join(items)}", json)
