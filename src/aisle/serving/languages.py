"""Which language an answer is given in."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request


def language_of(request: Request, known: Sequence[str]) -> str:
    """The first of ``Accept-Language``, by its weights, that is among ``known``; else the first of ``known``."""
    weighed: list[tuple[float, int, str]] = []
    for place, part in enumerate(request.headers.get("accept-language", "")[:1_000].split(",")):
        tag, _, parameters = part.strip().partition(";")
        weighed.append((-_weight(parameters), place, tag.partition("-")[0].strip().lower()))
    return next((tag for weight, _, tag in sorted(weighed) if weight < 0 and tag in known), known[0])


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
