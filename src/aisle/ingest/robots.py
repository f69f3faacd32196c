"""Users who act faster than people do are flagged, so that models are not fitted on robots.

What counts is distinct moments: a list of twenty impressions or a basket of sixty lines shares one. A person pauses;
a crawler keeps up its pace. Memory is bounded: only minutes at the end of the last batch and users caught so far stay.
"""

from __future__ import annotations

import polars as pl
from pydantic import Field

from aisle.domain import EventTable
from aisle.settings import Config

_MINUTE_MS = 60_000


class RobotsConfig(Config):
    """When a user is suspected. Raising a number suspects fewer."""

    moments_per_minute: int = Field(default=40, ge=2)
    """Distinct event times within one minute that people do not reach: one every second and a half."""
    sustained_minutes: int = Field(default=5, ge=1)
    """Such minutes, in the whole import, before a user is suspected."""
    most_remembered: int = Field(default=200_000, ge=1)
    """Users with unfinished or absurd minutes that are remembered between batches; the fewest-minuted go first."""


class RobotWatch:
    """Counts across the batches of one import. Events that are stored already when a user is caught stay unflagged."""

    def __init__(self, config: RobotsConfig | None = None) -> None:
        self._config = config or RobotsConfig()
        self._open = pl.DataFrame(schema={"user_id": pl.String, "minute": pl.Int64, "moments": pl.Int64})
        self._absurd = pl.DataFrame(schema={"user_id": pl.String, "minutes": pl.Int64})

    def flag(self, events: EventTable) -> tuple[EventTable, int]:
        """``events`` with ``is_suspect`` set for suspected users, and how many rows that is."""
        frame = events.frame
        if not frame.height:
            return events, 0
        counted = (
            frame.lazy()
            .select("user_id", "time_ms")
            .unique()
            .group_by("user_id", (pl.col("time_ms") // _MINUTE_MS).alias("minute"))
            .agg(pl.len().cast(pl.Int64).alias("moments"))
            .collect()
        )
        last = counted["minute"].max()
        counted = pl.concat([self._open, counted]).group_by("user_id", "minute").agg(pl.col("moments").sum())
        is_open = pl.col("minute") >= last
        wild = counted.filter(~is_open & (pl.col("moments") >= self._config.moments_per_minute))
        caught = wild.group_by("user_id").agg(pl.len().cast(pl.Int64).alias("minutes"))
        self._absurd = pl.concat([self._absurd, caught]).group_by("user_id").agg(pl.col("minutes").sum())
        self._open = counted.filter(is_open).head(self._config.most_remembered)
        if self._absurd.height > self._config.most_remembered:
            self._absurd = self._absurd.sort("minutes", descending=True).head(self._config.most_remembered)
        suspects = self._absurd.filter(pl.col("minutes") >= self._config.sustained_minutes)["user_id"]
        if not len(suspects):
            return events, 0
        flagged = frame.with_columns(pl.col("is_suspect") | pl.col("user_id").is_in(suspects.implode()))
        return EventTable(flagged), int(flagged["is_suspect"].sum())
