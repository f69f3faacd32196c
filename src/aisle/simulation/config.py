"""How large the simulated shop is and how strongly everything in it acts.

All strengths are in log-odds unless a unit is given. Every number of the simulated truth stands here or in
``vocabulary.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from aisle.errors import ConfigError, unknown_name
from aisle.settings import Config


class SimulationConfig(Config):
    """The dials of a simulated shop. ``SimulationConfig.of_size`` gives the usual ones."""

    n_products: int = Field(default=2_000, ge=62)
    """Products; articles, promotions and advertisements come on top, see ``content_share``."""
    n_users: int = Field(default=800, ge=1)
    """Users."""
    n_days: int = Field(default=180, ge=1)
    """Days of history."""
    visits_per_user: float = Field(default=9.0, gt=0)
    """Mean visits of a user over the history; purchases that fall due add some."""
    start_ms: int = 1_767_225_600_000
    """When the history starts, UTC milliseconds (2026-01-01); the last event lies before start + ``n_days``."""
    content_share: float = Field(default=0.03, ge=0, le=1)
    """Articles, promotions and advertisements for each product."""
    new_item_share: float = Field(default=0.25, ge=0, lt=1)
    """Share of products that arrive during the history."""
    out_of_stock_share: float = Field(default=0.08, ge=0, lt=1)
    """Share of products that are sold out for some time; about half of them still are at the end."""
    logged_impressions: float = Field(default=0.05, ge=0, le=1)
    """Share of shown lists whose impressions are recorded as events; clicks are always recorded."""

    taste_dimension: int = Field(default=8, ge=2)
    """Dimensions of the taste space that users and items share."""
    taste_in_category: float = 4.0
    """Weight of taste in which categories a user looks at; raising it makes users more different."""
    taste_in_style: float = 3.5
    """Weight of taste among the items of a category; raising it makes the items of a category more different."""
    own_interest: float = 0.7
    """Spread of interests in categories that taste does not explain."""
    brand_loyalty: float = 1.0
    """Pull of a user's favourite brands."""
    appeal: float = 0.7
    """Spread of how much everybody likes an item; raising it makes popularity a better recommendation."""
    drift_degrees: float = Field(default=30.0, ge=0)
    """How far a user's taste turns in 180 days."""
    click_level: float = -5.2
    """Log-odds of a click on an examined, average item."""
    purchase_level: float = -2.8
    """Log-odds of a purchase after a click on an average item."""
    price_aversion: float = Field(default=1.2, ge=0)
    """Loss of purchase log-odds for each e-fold of price above a user's budget."""
    examination_decay: float = Field(default=0.7, ge=0)
    """Position bias: the item at 0-based position p is examined with probability (1 + p) ** -decay."""
    errand: float = 2.2
    """Pull of the category a user shops for during some days, and half as much of what goes with it; raising it makes
    the latest events tell more."""
    season: float = 1.0
    """Multiplies the seasons of the vocabulary."""
    trend: float = 1.6
    """Height of a trend on the day it breaks out."""
    complement: float = 2.4
    """Pull of what goes with something bought just now; fades within days."""
    repeat: float = 2.2
    """Pull of something used up when it is due again."""
    satiation: float = 2.0
    """Push away from a category just bought from."""

    @classmethod
    def of_size(cls, size: str, **changes: Any) -> SimulationConfig:
        """The dials for ``size`` (see ``SIZES``), with single ones changed.

        Raises:
            ConfigError: the size is not known, or a dial is out of its range.
        """
        if size not in SIZES:
            raise ConfigError(unknown_name("size", size, SIZES), setting="size")
        return cls.parse({**SIZES[size], **changes}, "simulation")

    @property
    def end_ms(self) -> int:
        """When the history ends, UTC milliseconds."""
        return self.start_ms + self.n_days * DAY_MS


DAY_MS = 86_400_000

SIZES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {"n_products": 200, "n_users": 100, "n_days": 60, "visits_per_user": 8.0},
    "small": {"n_products": 2_000, "n_users": 800, "n_days": 180, "visits_per_user": 9.0},
    "medium": {"n_products": 50_000, "n_users": 10_000, "n_days": 180, "visits_per_user": 9.0},
    "large": {"n_products": 1_000_000, "n_users": 200_000, "n_days": 180, "visits_per_user": 5.0},
}
"""What ``size`` sets."""
