"""What is said to a chat model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aisle.errors import DataError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation: ``system`` says how to answer, ``user`` asks, ``assistant`` is an earlier answer."""

    role: Role
    text: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise DataError(f"role {self.role!r}; allowed are {', '.join(get_args(Role))}", field="role")
