"""The kit lets a sound implementation pass and names the promise that a broken one breaks."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from aisle import settings
from aisle.contracts import Listed
from aisle.domain import Candidates, EventTable, top_candidates
from aisle.errors import ContractError, CorruptError
from aisle.retrieval.vectors import CosineIndex
from aisle.storage import FolderArtifacts, LiveStates, SqlEmbeddings, SqlRecords
from aisle.testing import HashedWords, conformance


class Sound:
    """Proposes the items with most interactions; keeps every promise. What follows breaks one each."""

    class Config(settings.Config):
        """No settings."""

    name: str

    def __init__(self, name, counts, catalogue) -> None:
        self.name, self.counts, self.catalogue = name, counts, catalogue

    @classmethod
    def fit(cls, name, snapshot, config, parts):
        counts = np.bincount(snapshot.interactions["item_row"].to_numpy(), minlength=snapshot.n_items)
        return cls(name, counts.astype(np.float64), parts.catalogue)

    @classmethod
    def load(cls, name, folder, config, parts):
        try:
            counts, total = np.split(np.load(folder / "counts.npy", allow_pickle=False), [-1])
        except (OSError, ValueError) as error:
            raise CorruptError("counts.npy") from error
        if not np.array_equal(total, [counts.sum()]):
            raise CorruptError("counts.npy")
        return cls(name, counts, parts.catalogue)

    def save(self, folder) -> None:
        np.save(folder / "counts.npy", np.append(self.counts, self.counts.sum()))

    def retrieve(self, requests, n):
        return [top_candidates(self.name, self.counts, n, request) for request in requests]

    def score(self, requests, item_rows):
        return [self.scores_of(rows) for rows in item_rows]

    def scores_of(self, rows):
        is_known = (rows >= 0) & (rows < len(self.counts))
        scores = np.full(len(rows), np.nan, np.float32)
        scores[is_known] = self.counts[rows[is_known]]
        return scores

    def extend(self, items, events) -> None:
        rows = self.catalogue.rows(events.frame["item_id"].to_list())
        counts = np.bincount(rows[rows >= 0], minlength=self.catalogue.n_items).astype(np.float64)
        counts[: len(self.counts)] += self.counts
        self.counts = counts


class ForgetsItsName(Sound):
    @classmethod
    def fit(cls, name, snapshot, config, parts):
        return super().fit("popular", snapshot, config, parts)


class AnswersTooMany(Sound):
    def retrieve(self, requests, n):
        return super().retrieve(requests, n + 1)


class AnswersInAnyOrder(Sound):
    def retrieve(self, requests, n):
        def backwards(answer: Candidates) -> Candidates:
            return Candidates(answer.item_rows[::-1], answer.scores[::-1], answer.sources, answer.fused[::-1])

        return [backwards(answer) for answer in super().retrieve(requests, n)]


class BreaksTiesByChance(Sound):
    def retrieve(self, requests, n):
        def mixed(answer: Candidates) -> Candidates:
            order = np.lexsort((-answer.item_rows, -answer.fused))
            return Candidates(answer.item_rows[order], answer.scores[order], answer.sources, answer.fused[order])

        return [mixed(answer) for answer in super().retrieve(requests, n)]


class MinglesABatch(Sound):
    def retrieve(self, requests, n):
        return [top_candidates(self.name, self.counts + len(requests), n, request) for request in requests]


class FailsForStrangers(Sound):
    def retrieve(self, requests, n):
        for request in requests:
            if request.user_id is not None and not len(request.state.item_rows):
                raise KeyError(request.user_id)
        return super().retrieve(requests, n)


class ForgetsWhatIsAllowed(Sound):
    def retrieve(self, requests, n):
        return super().retrieve([replace(request, allowed=None) for request in requests], n)


class ForgetsWhatIsExcluded(Sound):
    def retrieve(self, requests, n):
        return super().retrieve([replace(request, excluded_rows=np.empty(0, np.int64)) for request in requests], n)


class CutsBeforeLimits(Sound):
    def retrieve(self, requests, n):
        head = np.full(len(self.counts), -np.inf)
        best = np.argsort(-self.counts, kind="stable")[:n]
        head[best] = self.counts[best]
        return [top_candidates(self.name, head, n, request) for request in requests]


class AnswersByChance(Sound):
    def retrieve(self, requests, n):
        scores = np.random.default_rng().random(len(self.counts))
        return [top_candidates(self.name, scores, n, request) for request in requests]


class FitsByChance(Sound):
    @classmethod
    def fit(cls, name, snapshot, config, parts):
        return cls(name, np.random.default_rng().random(snapshot.n_items), parts.catalogue)


class WritesIntoRequests(Sound):
    def retrieve(self, requests, n):
        for request in requests:
            request.state.item_rows[:] = 0
        return super().retrieve(requests, n)


class SharesScratchBetweenThreads(Sound):
    scratch: ClassVar[list[Any]] = []

    def retrieve(self, requests, n):
        self.scratch.clear()
        for number, request in enumerate(requests):
            self.scratch.append(top_candidates(self.name, self.counts, n, request))
            if number == 1:
                time.sleep(0.005)  # as reading a file would: another thread comes in between
        return list(self.scratch)


class ScoresOnAnotherScale(Sound):
    def scores_of(self, rows):
        return super().scores_of(rows) * np.float32(2)


class ScoresUnknownRows(Sound):
    def scores_of(self, rows):
        return self.counts[rows].astype(np.float32)


class SavesNothing(Sound):
    def save(self, folder) -> None:
        np.save(folder / "counts.npy", np.zeros(1))


class SavesAPickle(Sound):
    def save(self, folder) -> None:
        super().save(folder)
        (folder / "model.bin").write_bytes(pickle.dumps(self.counts))


class SavesObjects(Sound):
    def save(self, folder) -> None:
        super().save(folder)
        np.savez(folder / "more.npz", names=np.array(["a", None], dtype=object))


class TrustsDamagedFiles(Sound):
    @classmethod
    def load(cls, name, folder, config, parts):
        raw = (folder / "counts.npy").read_bytes()[128:] if (folder / "counts.npy").exists() else b""
        return cls(name, np.frombuffer(raw[: len(raw) // 8 * 8])[:-1], parts.catalogue)


class FailsOnUnknownEvents(Sound):
    def extend(self, items, events) -> None:
        for item_id in events.frame["item_id"].to_list():
            self.catalogue.item_ids.index(item_id)


class ForgetsWhatItTookIn(Sound):
    def save(self, folder) -> None:
        first = self.counts[:12]
        np.save(folder / "counts.npy", np.append(first, first.sum()))


class FailsOnMoreItems(Sound):
    def retrieve(self, requests, n):
        for request in requests:
            if request.allowed is not None and self.counts[: len(request.allowed)].shape != request.allowed.shape:
                assert len(request.allowed) <= len(self.counts) or self.catalogue.n_items == 12
        return super().retrieve(requests, n)


class FailsWithoutItems(Sound):
    @classmethod
    def fit(cls, name, snapshot, config, parts):
        source = super().fit(name, snapshot, config, parts)
        source.counts /= source.counts.max()
        return source


BROKEN_SOURCES = [
    (ForgetsItsName, "bears the name"),
    (AnswersTooMany, "up to n"),
    (AnswersInAnyOrder, "best first"),
    (BreaksTiesByChance, "ties by ascending row"),
    (MinglesABatch, "alone as it is among others"),
    (FailsForStrangers, "unknown user"),
    (ForgetsWhatIsAllowed, "request.allowed"),
    (ForgetsWhatIsExcluded, "request.excluded_rows"),
    (CutsBeforeLimits, "before the list is cut"),
    (AnswersByChance, "head of the longer list"),
    (FitsByChance, "a second fit"),
    (WritesIntoRequests, "read-only"),
    (SharesScratchBetweenThreads, "several threads"),
    (ScoresOnAnotherScale, "on the scale of retrieve"),
    (ScoresUnknownRows, "no opinion"),
    (SavesNothing, "after load"),
    (SavesAPickle, "never pickle"),
    (SavesObjects, "never pickle"),
    (TrustsDamagedFiles, "damaged file"),
    (FailsOnUnknownEvents, "passes over events of unknown items"),
    (ForgetsWhatItTookIn, "comes back from the files"),
    (FailsOnMoreItems, "grew before extend"),
    (FailsWithoutItems, "empty shop"),
]


def test_a_sound_source_passes() -> None:
    conformance.check_source(Sound)


@pytest.mark.parametrize(("implementation", "promise"), BROKEN_SOURCES)
def test_a_broken_source_is_noticed(implementation, promise: str) -> None:
    with pytest.raises(ContractError, match=promise) as raised:
        conformance.check_source(implementation)
    assert implementation.__name__ in str(raised.value)


class TooLong(HashedWords):
    def encode(self, texts, **more):
        return super().encode(texts, **more) * np.float32(2)


class LooksAtTheBatch(HashedWords):
    def encode(self, texts, **more):
        return np.roll(super().encode(texts, **more), len(texts), axis=1)


class SaysTheSameOfAll(HashedWords):
    def encode(self, texts, **more):
        return super().encode(["a"] * len(texts), **more)


class FailsOnEmptyText(HashedWords):
    def encode(self, texts, **more):
        assert all(texts)
        return super().encode(texts, **more)


@pytest.mark.parametrize(
    ("encoder", "promise"),
    [
        (TooLong(), "unit rows"),
        (LooksAtTheBatch(), "batched with"),
        (SaysTheSameOfAll(), "different texts"),
        (FailsOnEmptyText(), "encode gives"),
    ],
)
def test_a_broken_encoder_is_noticed(encoder, promise: str) -> None:
    with pytest.raises(ContractError, match=promise):
        conformance.check_encoder(encoder)


def records_that(**broken: Callable[..., Any]) -> Callable[[Path], Any]:
    """A record store with some methods replaced; each is handed the store's own method first."""

    def open_in(folder: Path) -> SqlRecords:
        store = SqlRecords.open(folder / "shop.db")
        for name, method in broken.items():
            own = getattr(store, name)
            setattr(store, name, lambda *args, own=own, method=method, **more: method(own, *args, **more))
        return store

    return open_in


@pytest.mark.parametrize(
    ("make", "promise"),
    [
        (records_that(append_events=lambda own, table, *more: own(without_ids(table), *more)), "stored once|the last"),
        (records_that(read_items=lambda own, ids: own(sorted(ids))), "read back as they were"),
        (records_that(read_catalogue=lambda own, from_row=0: own()), "read back as they were, in row order"),
        (records_that(erase_user=lambda own, user_id: 1), "erased user"),
        (records_that(read_user_states=lambda own, ids, n, n_shown: own(ids, n + 1, n_shown)), "last events"),
        (records_that(read_user_states=lambda own, ids, n, n_shown: own(ids, n, 0)), "pushes out"),
        (records_that(changes_since=lambda own, seq, limit=5: own(0, limit)), "change feed"),
        (records_that(read_checkpoint=lambda own, source, fingerprint: None), "checkpoint"),
        (records_that(read_slate=lambda own, slate_id: None), "slate"),
        (records_that(append_event_groups=lambda own, table, n_each: own(table, n_each)[::-1]), "each caller hears"),
        (
            records_that(append_slates=lambda own, slates, n=None: own([replace(s, features=None) for s in slates], n)),
            "knew",
        ),
        (records_that(append_slates=lambda own, slates, n=None: own(slates)), "without their users"),
        (records_that(read_slates=lambda own, after, limit=5: own(after, 5)), "in pages"),
        (records_that(seq_before_slates=lambda own, n: own(n + 1)), "after which number"),
        (records_that(drop_slates=lambda own, before_ms, limit=200: own(before_ms)), "a few at a time"),
        (records_that(read_slate_events=lambda own, after=0: own()), "carry a slate"),
        (
            records_that(list_items=lambda own, cursor=None, limit=5: own(None if cursor == "" else cursor, limit)),
            "refused",
        ),
        (
            records_that(list_users=lambda own, cursor=None, limit=5: backwards(own(cursor, limit))),
            "users and documents by id",
        ),
        (
            records_that(list_events=lambda own, cursor=None, limit=5, user_id=None: own(cursor, limit)),
            "newest arrival",
        ),
    ],
)
def test_a_broken_record_store_is_noticed(make, promise: str) -> None:
    with pytest.raises(ContractError, match=promise):
        conformance.check_record_store(make)


def backwards(page: Listed[Any]) -> Listed[Any]:
    return Listed(page.rows[::-1], page.cursor)


def without_ids(table: EventTable) -> EventTable:
    frame = table.frame
    unlike = np.random.default_rng().integers(0, 2**40, len(table))
    return EventTable.from_frame(frame.drop("event_id").with_columns(session_id=unlike.astype(str)))


class StaleStates(LiveStates):
    def record(self, events) -> None:
        pass


class RemembersTheErased(LiveStates):
    def forget_all(self) -> None:
        pass


class ForgetfulArtifacts(FolderArtifacts):
    def rollback(self, name):
        return self.promote(name)


class ForgetsWhichWasWritten(FolderArtifacts):
    def promote(self, name, version=None):
        manifest = super().promote(name, version)
        return super().promote(name) if name == "named" else manifest


class TrustingArtifacts(FolderArtifacts):
    def current(self, name):
        try:
            return super().current(name)
        except CorruptError:
            return None


class OverwritingEmbeddings(SqlEmbeddings):
    def read(self, fingerprint, hashes):
        return {key: -vector for key, vector in super().read(fingerprint, hashes).items()}


class UnlimitedIndex(CosineIndex):
    def search(self, queries, n, allowed=None):
        return super().search(queries, n)


def test_broken_stores_are_noticed() -> None:
    with pytest.raises(ContractError, match="acknowledged"):
        conformance.check_state_store(StaleStates, records_that())
    with pytest.raises(ContractError, match="everybody is forgotten"):
        conformance.check_state_store(RemembersTheErased, records_that())
    with pytest.raises(ContractError, match="rollback"):
        conformance.check_artifact_store(ForgetfulArtifacts)
    with pytest.raises(ContractError, match="by the name it was given"):
        conformance.check_artifact_store(ForgetsWhichWasWritten)
    with pytest.raises(ContractError, match="checked against the manifest"):
        conformance.check_artifact_store(TrustingArtifacts)
    with pytest.raises(ContractError, match="bit for bit"):
        conformance.check_embedding_store(lambda folder: OverwritingEmbeddings.open(folder / "vectors.db"))
    with pytest.raises(ContractError, match="only allowed rows"):
        conformance.check_vector_index(UnlimitedIndex, UnlimitedIndex.load)
