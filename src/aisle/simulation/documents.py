"""Policies of the simulated shop: returns, shipping, warranty, payment, privacy, sizes, in English and Chinese."""

from __future__ import annotations

import tomllib
from importlib.resources import files

from aisle.domain import Document, DocumentTable
from aisle.simulation.vocabulary import LANGUAGES, Word


def read_documents(updated_ms: int) -> DocumentTable:
    """Every policy in every language; ``updated_ms`` is when they were last changed."""
    table = tomllib.loads(files("aisle.simulation").joinpath("documents.toml").read_text(encoding="utf-8"))
    return DocumentTable.from_rows(
        Document(
            document_id=f"{name}-{language}",
            title=Word.parse(entry["title"])[place],
            text=entry[language],
            kind="policy",
            language=language,
            updated_ms=updated_ms,
        )
        for name, entry in table.items()
        for place, language in enumerate(LANGUAGES)
    )
