"""Values that many bodies share, and what all bodies have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_ITEMS = 1_000
"""Items of one list, rows of one page."""
MOST_ASKS = 200
"""Questions of one batch: with reasons they are some ten seconds of work."""
MOST_ROWS = 10_000
"""Records of one write."""
LARGEST_MS = 4_102_444_800_000
"""2100-01-01, the last believable time."""


class Asked(BaseModel):
    """What a caller sends: types are taken strictly and unknown fields are refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Body(Asked):
    """What a caller sends as the whole body of a request."""

    most_bytes: ClassVar[int] = 65_536
    """A longer body is not read."""


class Told(BaseModel):
    """What the server answers; a client passes over fields that are newer than itself."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


Id = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        pattern=r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$",
    ),
]
"""1 to 512 characters, no control characters, no blanks at either end."""
Line = Annotated[str, Field(max_length=1_000)]
"""Text of one line."""
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
"""A BCP 47 primary tag such as ``en`` or ``zh``."""
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


WHOLE = BeforeValidator(_whole)
"""Goes behind the limits of a whole number: before them it would hide them from the OpenAPI document."""
MinorUnits = Annotated[int, Field(ge=0, le=10_000_000_000), WHOLE]
"""Money in minor units such as cents."""
TimeMs = Annotated[int, Field(ge=788_918_400_000, le=LARGEST_MS), WHOLE]
"""UTC milliseconds, from 1995 on."""
Size = Annotated[int, Field(ge=1, le=MOST_ITEMS), WHOLE]
Name = Annotated[str, Field(min_length=1, max_length=100)]

Kind = Literal["product", "article", "video", "promotion", "advertisement"]
EventName = Literal[
    "view_item_list",
    "select_item",
    "view_item",
    "add_to_cart",
    "remove_from_cart",
    "add_to_wishlist",
    "begin_checkout",
    "purchase",
    "refund",
    "search",
    "view_promotion",
    "select_promotion",
    "share",
    "rate",
    "review",
]
SortName = Literal["relevance", "price-up", "price-down", "newest", "rating", "popularity"]
EventFormat = Literal["auto", "aisle", "ga4", "google-retail", "gorse"]
ItemFormat = Literal["auto", "aisle", "ga4", "google-retail", "gorse"]
UserFormat = Literal["auto", "aisle", "gorse"]
