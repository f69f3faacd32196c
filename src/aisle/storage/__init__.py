"""Where a shop's data lives: records, live states, models, vectors, rewritings and query rules."""

from aisle.storage.artifacts import FolderArtifacts
from aisle.storage.embeddings import SqlEmbeddings
from aisle.storage.records import SqlRecords
from aisle.storage.rewritings import KeptRewriting, SqlRewritings
from aisle.storage.rules import SqlRules
from aisle.storage.slate_outbox import SlateOutbox
from aisle.storage.states import LiveStates

__all__ = [
    "FolderArtifacts",
    "KeptRewriting",
    "LiveStates",
    "SlateOutbox",
    "SqlEmbeddings",
    "SqlRecords",
    "SqlRewritings",
    "SqlRules",
]
