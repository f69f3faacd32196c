"""Who shops. A profile holds only what a shop chose to share; ``user_id`` should be a pseudonym."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aisle.errors import DataError


@dataclass(frozen=True, slots=True)
class User:
    """One user's profile; every field but the id is optional."""

    user_id: str
    gender: str | None = None
    age_band: str | None = None
    region: str | None = None
    language: str | None = None
    platforms: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    created_ms: int | None = None

    def __post_init__(self) -> None:
        if not self.user_id:
            raise DataError("a user needs a non-empty user_id", field="user_id")
