"""What each candidate would bring. Enters: requests and their candidates. Leaves: outcomes."""

from aisle.ranking.fused import FusedScore

__all__ = ["FusedScore"]
