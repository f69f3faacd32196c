"""Problem documents (RFC 9457)."""

from __future__ import annotations

from pydantic import ConfigDict

from aisle.wire.records import Refusal
from aisle.wire.values import Told


class Problem(Told):
    """Why a request was not answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:aisle:problem:invalid",
                    "title": "The request is not valid",
                    "status": 422,
                    "detail": "size: Input should be less than or equal to 1000",
                    "instance": "/v1/search",
                    "field": "size",
                }
            ]
        }
    )

    type: str
    """Names the kind of problem, for programs."""
    title: str
    """The kind of problem in words; always the same for one type."""
    status: int
    """The HTTP status."""
    detail: str
    """What happened this time, and what is allowed."""
    instance: str
    """The path that was asked."""
    field: str | None = None
    """The field or parameter that is wrong, where one is known."""
    row: int | None = None
    """Its row, counted from 1, where one is known."""
    command: str | None = None
    """What to run first, where something must be."""
    refusals: tuple[Refusal, ...] | None = None
    """Every row that was refused, where all of them were."""
    request_id: str | None = None
    """Name it when asking for help: the server's log has it too."""
