"""What each candidate would bring. Enters: requests and their candidates. Leaves: outcomes."""

from aisle.ranking.fused import FusedScore
from aisle.ranking.statistics import ItemStatistics, StatisticsConfig

__all__ = ["FusedScore", "ItemStatistics", "StatisticsConfig"]
