"""Which list is shown. Enters: requests, candidates, outcomes. Leaves: slates."""

from aisle.decision.diversity import ItemVectors
from aisle.decision.eligibility import Eligibility
from aisle.decision.objective import unpredicted, utilities
from aisle.decision.policy import ObjectivePolicy, plain_slate

__all__ = ["Eligibility", "ItemVectors", "ObjectivePolicy", "plain_slate", "unpredicted", "utilities"]
