"""Which list is shown. Enters: requests, candidates, outcomes. Leaves: slates."""

from aisle.decision.eligibility import Eligibility
from aisle.decision.greedy import Greedy

__all__ = ["Eligibility", "Greedy"]
