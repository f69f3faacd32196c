"""A hand-made shop of 12 items, 6 users and 41 events, small enough to know the right answer by reading.

Days count from 2026-03-01 00:00 UTC; the clock stands at day 30. Who should get what:

======================  ==================================================================================
question                right answer
======================  ==================================================================================
dora, recommendations   ``green-tea``: all three others who bought the ``kettle`` bought it too
finn, recommendations   ``socks``: both others who bought the ``boots`` bought them too
with the kettle         ``green-tea`` (three of the four who bought the kettle)
with the boots          ``socks`` (two of the three who bought the boots)
ann, buy it again       ``green-tea``: bought on days 0, 10 and 20, so it is due on day 30, which is now
trending                ``umbrella``: nothing before day 28, then four looks and two purchases
steady, not trending    ``headphones``: looked at every fifth day all month
most purchased          ``green-tea`` (5 purchases), then ``kettle`` (4), then ``boots`` (3)
new arrival             ``raincoat``: created on day 27 and never seen, so only its words can bring it up
never shown             ``camera``: out of stock, though it was looked at twice
products only           never ``brewing-guide`` (an article) nor ``tea-week`` (a promotion, days 25 to 35)
eve, recently viewed    ``umbrella``, then ``headphones``, then ``socks`` and ``boots``
``waterproof boots``    ``boots``; ``雨伞`` finds ``umbrella``; ``longjing`` and ``龙井`` find ``green-tea``
======================  ==================================================================================

Nothing here reads a file or a database: the snapshot and the catalogue are built from the records directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aisle.domain import (
    INTERACTION_SCHEMA,
    Catalogue,
    Document,
    Event,
    EventTable,
    EventType,
    Item,
    ItemKind,
    ItemTable,
    ItemText,
    Snapshot,
    User,
)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
FIRST_DAY_MS = 1_772_323_200_000
"""2026-03-01 00:00 UTC, day 0."""
NOW_MS = FIRST_DAY_MS + 30 * DAY_MS
"""2026-03-31 00:00 UTC, day 30."""


@dataclass(frozen=True)
class FrozenClock:
    """A clock that stands at ``now_ms``."""

    now_ms: int

    def __call__(self) -> int:
        """Always ``now_ms``."""
        return self.now_ms

    @classmethod
    def at_day(cls, day: float) -> FrozenClock:
        """Standing at ``day`` of the tiny shop's month."""
        return cls(FIRST_DAY_MS + round(day * DAY_MS))


@dataclass(frozen=True)
class TinyShop:
    """The tiny shop's records, and the same as a snapshot and a catalogue. Rows follow the order of the records."""

    items: tuple[Item, ...]
    users: tuple[User, ...]
    events: tuple[Event, ...]
    documents: tuple[Document, ...]
    snapshot: Snapshot
    catalogue: Catalogue
    clock: FrozenClock

    def item(self, item_id: str) -> Item:
        """The item with this id."""
        return self.items[self.row(item_id)]

    def row(self, item_id: str) -> int:
        """The item's row in snapshot and catalogue; raises ``KeyError`` for an id that is not in the shop."""
        row = self.catalogue.row(item_id)
        if row < 0:
            raise KeyError(item_id)
        return row

    def user_row(self, user_id: str) -> int:
        """The user's row in the snapshot."""
        return list(self.snapshot.user_ids).index(user_id)


def tiny_shop() -> TinyShop:
    """Build the tiny shop afresh; see the module for the right answers."""
    items, users, events = _items(), _users(), _events()
    item_table = ItemTable.from_rows(items)
    return TinyShop(
        items=items,
        users=users,
        events=events,
        documents=_documents(),
        snapshot=Snapshot(
            items=item_table,
            user_ids=[user.user_id for user in users],
            interactions=_interactions(items, users, events),
            seq=len(items) + len(users) + len(events),
        ),
        catalogue=Catalogue(item_table),
        clock=FrozenClock(NOW_MS),
    )


def _item(
    item_id: str,
    category: tuple[str, ...],
    english: tuple[str, str],
    chinese: tuple[str, str],
    price_minor: int,
    *,
    brand: str,
    stock: int = 25,
    created_day: int = -60,
    **attributes: str,
) -> Item:
    return Item(
        item_id=item_id,
        texts=(ItemText("en", *english), ItemText("zh", *chinese)),
        brand=brand,
        category=category,
        attributes={name: (value,) for name, value in attributes.items()},
        price_minor=price_minor,
        currency="USD",
        cost_minor=price_minor * 6 // 10,
        stock=stock,
        seller="Corner Store" if brand in {"Maple", "Hillside"} else "Northgate",
        created_ms=FIRST_DAY_MS + created_day * DAY_MS,
    )


def _items() -> tuple[Item, ...]:
    return (*_kitchen_and_grocery(), *_outdoors(), *_electronics(), *_content())


def _kitchen_and_grocery() -> tuple[Item, ...]:
    return (
        _item(
            "kettle",
            ("Kitchen", "Kettles"),
            ("Maple enamel tea kettle, 1.5 L, red", "A whistling kettle for gas and induction hobs."),
            ("枫叶搪瓷烧水壶 1.5升 红色", "鸣笛水壶，燃气灶和电磁炉通用。"),
            3999,
            brand="Maple",
            colour="red",
            capacity="1.5 L",
        ),
        _item(
            "teapot",
            ("Kitchen", "Teapots"),
            ("Maple glass teapot with infuser, 600 ml", "Heat-resistant glass; watch the leaves unfold."),
            ("枫叶玻璃茶壶 带滤网 600毫升", "耐热玻璃，可以看见茶叶舒展。"),
            2599,
            brand="Maple",
            material="glass",
            capacity="600 ml",
        ),
        _item(
            "green-tea",
            ("Grocery", "Tea"),
            ("Hillside Longjing green tea, 250 g", "Pan-fired spring leaves with a chestnut scent."),
            ("山麓龙井绿茶 250克", "明前春茶，豆栗香。"),
            1899,
            brand="Hillside",
            weight="250 g",
        ),
        _item(
            "black-tea",
            ("Grocery", "Tea"),
            ("Hillside Keemun black tea, 200 g", "Mellow, malty leaves that take milk well."),
            ("山麓祁门红茶 200克", "香气醇厚，适合加奶。"),
            1699,
            brand="Hillside",
            weight="200 g",
        ),
    )


def _outdoors() -> tuple[Item, ...]:
    return (
        _item(
            "boots",
            ("Shoes", "Hiking boots"),
            ("Ridgeline waterproof hiking boots, brown, size 42", "Sealed seams and a grippy sole for wet paths."),
            ("山脊防水登山鞋 棕色 42码", "压胶防水，湿滑路面也抓地。"),
            11900,
            brand="Ridgeline",
            colour="brown",
            size="42",
        ),
        _item(
            "socks",
            ("Clothing", "Socks"),
            ("Ridgeline merino wool hiking socks, 2 pairs", "Cushioned heel; warm when wet."),
            ("山脊美利奴羊毛徒步袜 两双装", "足跟加厚，潮湿时依然保暖。"),
            1990,
            brand="Ridgeline",
            material="merino wool",
        ),
        _item(
            "raincoat",
            ("Clothing", "Rainwear"),
            ("Ridgeline light rain jacket with hood, blue", "Packs into its own pocket."),
            ("山脊轻薄连帽雨衣 蓝色", "可收纳进自带口袋。"),
            7900,
            brand="Ridgeline",
            created_day=27,
            colour="blue",
        ),
        _item(
            "umbrella",
            ("Accessories", "Umbrellas"),
            ("Ridgeline folding umbrella, windproof, black", "Opens with one hand and survives gusts."),
            ("山脊折叠雨伞 抗风 黑色", "单手开合，大风不翻。"),
            2490,
            brand="Ridgeline",
            colour="black",
        ),
    )


def _electronics() -> tuple[Item, ...]:
    return (
        _item(
            "headphones",
            ("Electronics", "Headphones"),
            ("Sonora wireless noise-cancelling headphones", "Thirty hours of music on one charge."),
            ("声诺无线降噪耳机", "一次充电可听三十小时。"),
            15900,
            brand="Sonora",
            colour="white",
        ),
        _item(
            "camera",
            ("Electronics", "Cameras"),
            ("Sonora instant camera, mint", "Prints a photo in ninety seconds."),
            ("声诺拍立得相机 薄荷绿", "九十秒出片。"),
            8900,
            brand="Sonora",
            stock=0,
            colour="mint",
        ),
    )


def _content() -> tuple[Item, ...]:
    return (
        Item(
            item_id="brewing-guide",
            kind=ItemKind.ARTICLE,
            texts=(
                ItemText("en", "How to brew green tea", "Eighty degrees, two minutes, and a kettle you can trust."),
                ItemText("zh", "绿茶怎么泡", "八十度水温，两分钟，一把好水壶。"),
            ),
            category=("Grocery", "Tea"),
            created_ms=FIRST_DAY_MS - 30 * DAY_MS,
        ),
        Item(
            item_id="tea-week",
            kind=ItemKind.PROMOTION,
            texts=(
                ItemText("en", "Tea week: ten percent off all teas", "Until Saturday, while stocks last."),
                ItemText("zh", "品茗周：全场茶叶九折", "周六截止，售完即止。"),
            ),
            category=("Grocery", "Tea"),
            created_ms=FIRST_DAY_MS + 24 * DAY_MS,
            starts_ms=FIRST_DAY_MS + 25 * DAY_MS,
            ends_ms=FIRST_DAY_MS + 35 * DAY_MS,
        ),
    )


def _users() -> tuple[User, ...]:
    def user(user_id: str, gender: str, age_band: str, region: str, language: str, *platforms: str) -> User:
        created_ms = FIRST_DAY_MS - 90 * DAY_MS
        return User(user_id, gender, age_band, region, language, platforms, created_ms=created_ms)

    return (
        user("ann", "female", "35-44", "north", "en", "web", "app"),
        user("bob", "male", "25-34", "south", "en", "web"),
        user("cai", "female", "25-34", "east", "zh", "app"),
        user("dora", "female", "55-64", "north", "en", "web"),
        user("eve", "female", "18-24", "west", "en", "app"),
        user("finn", "male", "45-54", "west", "zh", "app"),
    )


Happening = tuple[float, str, EventType, str | None]
"""Day, user, what, item."""

_HAPPENED: tuple[Happening, ...] = (
    (0.0, "ann", EventType.PURCHASE, "kettle"),
    (0.0, "ann", EventType.PURCHASE, "green-tea"),
    (1.0, "bob", EventType.VIEW, "headphones"),
    (2.0, "cai", EventType.VIEW, "boots"),
    (2.1, "cai", EventType.PURCHASE, "boots"),
    (2.1, "cai", EventType.PURCHASE, "socks"),
    (3.0, "bob", EventType.IMPRESSION, "kettle"),
    (3.01, "bob", EventType.CLICK, "kettle"),
    (3.1, "bob", EventType.PURCHASE, "kettle"),
    (3.1, "bob", EventType.PURCHASE, "green-tea"),
    (5.0, "ann", EventType.REVIEW, "kettle"),
    (6.0, "cai", EventType.VIEW, "headphones"),
    (8.0, "eve", EventType.SEARCH, None),
    (8.01, "eve", EventType.IMPRESSION, "boots"),
    (8.02, "eve", EventType.CLICK, "boots"),
    (8.1, "eve", EventType.PURCHASE, "boots"),
    (8.1, "eve", EventType.PURCHASE, "socks"),
    (10.0, "ann", EventType.PURCHASE, "green-tea"),
    (11.0, "eve", EventType.VIEW, "headphones"),
    (12.0, "cai", EventType.PURCHASE, "kettle"),
    (12.0, "cai", EventType.PURCHASE, "green-tea"),
    (12.0, "cai", EventType.PURCHASE, "teapot"),
    (13.0, "bob", EventType.VIEW, "camera"),
    (14.0, "cai", EventType.REFUND, "teapot"),
    (15.0, "finn", EventType.VIEW, "camera"),
    (16.0, "bob", EventType.VIEW, "headphones"),
    (18.0, "bob", EventType.VIEW, "black-tea"),
    (20.0, "ann", EventType.PURCHASE, "green-tea"),
    (21.0, "ann", EventType.VIEW, "headphones"),
    (22.0, "ann", EventType.VIEW, "brewing-guide"),
    (24.0, "finn", EventType.VIEW, "boots"),
    (24.1, "finn", EventType.PURCHASE, "boots"),
    (26.0, "eve", EventType.VIEW, "headphones"),
    (27.0, "dora", EventType.VIEW, "kettle"),
    (27.1, "dora", EventType.PURCHASE, "kettle"),
    (28.1, "bob", EventType.VIEW, "umbrella"),
    (28.6, "cai", EventType.VIEW, "umbrella"),
    (28.7, "cai", EventType.PURCHASE, "umbrella"),
    (29.1, "eve", EventType.VIEW, "umbrella"),
    (29.4, "bob", EventType.CLICK, "umbrella"),
    (29.5, "bob", EventType.PURCHASE, "umbrella"),
)

_REVIEW = "Boils quickly and looks lovely on the stove."


def _events() -> tuple[Event, ...]:
    prices = {item.item_id: item.price_minor for item in _items()}
    platforms = {user.user_id: user.platforms[0] for user in _users()}
    events: list[Event] = []
    for number, (day, user_id, event_type, item_id) in enumerate(_HAPPENED):
        is_sale = event_type in (EventType.PURCHASE, EventType.REFUND)
        is_review = event_type is EventType.REVIEW
        events.append(
            Event(
                user_id=user_id,
                type=event_type,
                time_ms=FIRST_DAY_MS + round(day * DAY_MS),
                item_id=item_id,
                event_id=f"tiny-{number:02d}",
                price_minor=prices[item_id] if is_sale and item_id is not None else None,
                currency="USD" if is_sale else None,
                rating=5.0 if is_review else None,
                text=_REVIEW if is_review else None,
                query="waterproof boots" if day in (8.0, 8.01, 8.02) else None,
                session_id=f"{user_id}-{int(day)}",
                basket_id=f"{user_id}-{int(day)}-basket" if is_sale else None,
                slot=0 if event_type in (EventType.IMPRESSION, EventType.CLICK) else None,
                platform=platforms[user_id],
            )
        )
    return tuple(events)


def _documents() -> tuple[Document, ...]:
    return (
        Document(
            document_id="returns-en",
            title="Returns",
            text="Send anything unused back within 30 days for a full refund. Opened tea cannot be returned.",
            language="en",
            updated_ms=FIRST_DAY_MS,
        ),
        Document(
            document_id="returns-zh",
            title="退货政策",
            text="未使用的商品三十天内可以退货并全额退款。已拆封的茶叶不能退货。",
            language="zh",
            updated_ms=FIRST_DAY_MS,
        ),
    )


def _interactions(items: tuple[Item, ...], users: tuple[User, ...], events: tuple[Event, ...]) -> pl.DataFrame:
    """The events that name an item as a snapshot holds them; they are in order of time already."""
    item_rows = pl.DataFrame({"item_id": [item.item_id for item in items]}).with_row_index("item_row")
    user_rows = pl.DataFrame({"user_id": [user.user_id for user in users]}).with_row_index("user_row")
    return (
        EventTable.from_rows(events)
        .frame.join(item_rows, on="item_id", maintain_order="left")
        .join(user_rows, on="user_id", maintain_order="left")
        .select([pl.col(name).cast(dtype) for name, dtype in INTERACTION_SCHEMA.items()])
    )
