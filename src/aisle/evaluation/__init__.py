"""Measures how good lists are, without knowing who made them.

Enters: a snapshot and systems that rank items. Leaves: a ``Report``. Knows nothing of sources, shops or files.
"""

from aisle.evaluation.cases import Cases, Split
from aisle.evaluation.comparison import ListFacts, System, compare
from aisle.evaluation.intervals import Interval, mean_interval, paired_difference, statistic_interval
from aisle.evaluation.report import Report
from aisle.evaluation.splits import leave_one_out, query_disjoint, temporal, time_at_share
from aisle.evaluation.targets import Judged, RowLists, Targets, judge, padded

__all__ = [
    "Cases",
    "Interval",
    "Judged",
    "ListFacts",
    "Report",
    "RowLists",
    "Split",
    "System",
    "Targets",
    "compare",
    "judge",
    "leave_one_out",
    "mean_interval",
    "padded",
    "paired_difference",
    "query_disjoint",
    "statistic_interval",
    "temporal",
    "time_at_share",
]
