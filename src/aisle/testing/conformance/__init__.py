"""Checks any implementation, built-in or plug-in, against the promises of ``aisle.contracts``.

Each function runs one kind of implementation through real work on the tiny shop and raises ``ContractError`` naming the
first promise that is broken and how. Call it from a test of your own::

    from aisle.testing.conformance import check_source

    def test_my_source_keeps_its_promises():
        check_source(MySource)
"""

from aisle.testing.conformance.artifact_stores import check_artifact_store
from aisle.testing.conformance.chat_models import check_chat_model
from aisle.testing.conformance.encoders import check_encoder
from aisle.testing.conformance.rankers import check_ranker
from aisle.testing.conformance.record_stores import check_record_store
from aisle.testing.conformance.sources import check_source
from aisle.testing.conformance.state_stores import check_state_store
from aisle.testing.conformance.statistics import check_statistics
from aisle.testing.conformance.vectors import check_embedding_store, check_vector_index

__all__ = [
    "check_artifact_store",
    "check_chat_model",
    "check_embedding_store",
    "check_encoder",
    "check_ranker",
    "check_record_store",
    "check_source",
    "check_state_store",
    "check_statistics",
    "check_vector_index",
]
