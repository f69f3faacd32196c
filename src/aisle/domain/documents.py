"""Texts the shop answers from: policies, guides, known questions."""

from __future__ import annotations

from dataclasses import dataclass

from aisle.domain.items import UNKNOWN_LANGUAGE
from aisle.errors import DataError


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the shop; ``kind`` is free (policy, faq, guide, ...)."""

    document_id: str
    title: str
    text: str
    kind: str = "policy"
    language: str = UNKNOWN_LANGUAGE
    url: str | None = None
    updated_ms: int | None = None

    def __post_init__(self) -> None:
        if not self.document_id:
            raise DataError("a document needs a non-empty document_id", field="document_id")
