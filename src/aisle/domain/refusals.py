"""What was not accepted, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """One value that was not accepted. ``row`` counts from 1 within ``source`` (0: the source as a whole).

    ``value`` is shortened to 200 characters and made printable; ``allowed`` says what would have been accepted.
    """

    source: str
    row: int
    field: str
    value: str
    allowed: str
