"""One small Protocol for each thing that can be replaced: what may be relied on, nothing of how.

Implementations are found by name through entry points (``aisle.sources``, ``aisle.encoders``, ...), built-in ones and
plug-ins alike; ``aisle.testing.conformance`` checks any of them against the promises written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aisle.domain import (
    Candidates,
    Catalogue,
    Document,
    DocumentTable,
    Event,
    EventTable,
    Examples,
    Features,
    Item,
    ItemTable,
    Message,
    Outcomes,
    Request,
    Slate,
    Snapshot,
    User,
    UserState,
    UserTable,
)
from aisle.settings import Config, PlacementConfig

T = TypeVar("T")

Clock = Callable[[], int]
"""Now, in UTC milliseconds."""

Float32Array = NDArray[np.float32]
Rows = NDArray[np.int64]


class Progress(Protocol):
    """Hears how long work goes on. ``total`` may be unknown (None)."""

    def __call__(self, task: str, done: int, total: int | None = None) -> None:
        """``done`` of ``total`` units of ``task`` are finished; after a tab ``task`` may say how it stands."""
        ...


def silent(task: str, done: int, total: int | None = None) -> None:
    """The ``Progress`` that nobody watches."""


class Encoder(Protocol):
    """Turns text into meaning.

    Guarantees: the same text gives the same vector whatever it is batched with, within 1e-3; unit rows; empty text
    gives a vector too; safe to call from several threads. ``fingerprint`` changes whenever any vector could.
    """

    @property
    def fingerprint(self) -> str:
        """Identifies model and settings."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> Float32Array:
        """(len(texts), dimension) float32, unit rows, in the order of ``texts``."""
        ...


@runtime_checkable
class Reader(Protocol):
    """An encoder that can tell what it cannot read; of any other it is taken that it reads every language."""

    def unread_shares(self, texts: Sequence[str]) -> Float32Array:
        """(len(texts),) float32 in 0 to 1: the share of each text's tokens that the model has no token for."""
        ...


class ChatModel(Protocol):
    """Answers in words.

    Guarantees: answers come in the order of ``talks``; a question that the model declines is answered by ""; safe to
    call from several threads. ``fingerprint`` changes whenever another model answers.
    """

    @property
    def fingerprint(self) -> str:
        """Identifies the model. The same question may still be answered otherwise the next time."""
        ...

    def reply(self, talks: Sequence[Sequence[Message]], *, progress: Progress = silent) -> list[str]:
        """The next turn of each conversation; each ends with a ``user`` message."""
        ...


class EmbeddingStore(Protocol):
    """Keeps vectors by model fingerprint and content hash, so that an unchanged text is never encoded twice."""

    def read(self, fingerprint: str, hashes: Sequence[str]) -> dict[str, Float32Array]:
        """The vectors that are kept, by hash; absent ones are left out."""
        ...

    def append(self, fingerprint: str, hashes: Sequence[str], vectors: Float32Array) -> None:
        """Keep ``vectors`` (n, d) under ``hashes``; a hash that is kept already stays as it is."""
        ...


class VectorIndex(Protocol):
    """Nearest unit vectors by cosine. Row i of the index is item row i."""

    def add(self, vectors: Float32Array) -> None:
        """Append rows, (n, d) float32 unit rows."""
        ...

    def search(
        self, queries: Float32Array, n: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[Rows, Float32Array]:
        """Rows and cosines of the ``n`` nearest to each query: (q, n) int64 (-1 where fewer), (q, n) float32."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything that ``load`` of the same class needs."""
        ...


@dataclass(frozen=True)
class Parts:
    """What the composition root hands to an implementation that is being fitted or loaded."""

    catalogue: Catalogue
    clock: Clock
    encoder: Encoder | None = None
    query_encoder: Encoder | None = None
    """Encodes what shoppers type without keeping it; None: ``encoder``. Both make the same vectors."""
    encoder_version: str | None = None
    """Which adapted version the encoders are; None: the configured model itself."""
    near_enough: float = 0.45
    """From which cosine on texts have to do with each other, by this encoder. 0.45 suits the packaged model."""
    progress: Progress = silent
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    currency: str = "USD"
    """The shop's: what revenue and margin are counted in."""


class LivePart(Protocol):
    """Something fitted on the records that follows them afterwards.

    Guarantees: leaves its inputs unchanged; safe to call from several threads; equal inputs give equal answers.
    """

    Config: ClassVar[type[Config]]
    is_index: ClassVar[bool]
    """True: only another form of the records (lexical, vectors), kept under ``indexes/`` and rebuilt when damaged."""
    name: str

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: Any, parts: Parts) -> Self:
        """Learn from ``snapshot``; ``config`` is a ``Config`` of this class."""
        ...

    @classmethod
    def load(cls, name: str, folder: Path, config: Any, parts: Parts) -> Self:
        """Read back what ``save`` wrote; answers equal those before. The folder may be moved or removed afterwards.

        Raises ``CorruptError`` for a damaged file.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write npz, safetensors, json or an index's own files into an empty folder; never pickle."""
        ...

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Take in what happened since the last fit; visible in the next answer.

        ``items`` are new or changed and already in the catalogue; events of unknown items are passed over.
        """
        ...


class CandidateSource(LivePart, Protocol):
    """Proposes items for requests.

    Guarantees besides those of ``LivePart``: proposes only what ``request.allowed`` and ``request.excluded_rows``
    leave, and only rows of the catalogue; an unknown user, item or a request without what it needs gives an empty
    result, not an error.
    """

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """Up to ``n`` candidates for each request, best first, ties by ascending item row."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """A source that can also score given items, so that fusion need not guess what it thinks of others' proposals."""

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores on the scale of ``retrieve``, one array per request, nan where the source has no opinion."""
        ...


class Statistics(LivePart, Protocol):
    """Knows items and users as numbers, kept up to date, and describes candidates with them.

    The same code describes a candidate when it is ranked and, written down with the slate, when a ranker is trained.
    """

    def describe(self, requests: Sequence[Request], candidates: Sequence[Candidates]) -> list[Features]:
        """Features of each request's candidates, in their order; the same names for every request."""
        ...

    def mean_ratings(self, item_rows: Rows) -> Float32Array:
        """Mean rating of each item, nan where nobody rated it."""
        ...

    def popularity(self, item_rows: Rows) -> Float32Array:
        """How much each item is wanted now, from 0; only the order means something."""
        ...


class Ranker(Protocol):
    """Predicts what each candidate would bring.

    Guarantees: safe to call from several threads; equal inputs give equal answers; a feature it was fitted with and
    that is no longer there counts as unknown (nan), one it does not know is passed over.
    """

    Config: ClassVar[type[Config]]
    name: str

    @classmethod
    def fit(cls, name: str, examples: Examples, config: Any, parts: Parts) -> Self:
        """Learn from ``examples``; ``config`` is a ``Config`` of this class.

        Raises ``NotReadyError`` when there are too few of them, saying how many are needed.
        """
        ...

    @classmethod
    def load(cls, name: str, folder: Path, config: Any, parts: Parts) -> Self:
        """Read back what ``save`` wrote; predictions equal those before. Raises ``CorruptError`` for a damaged file."""
        ...

    def save(self, folder: Path) -> None:
        """Write npz, json or the library's own text format into an empty folder; never pickle."""
        ...

    def predict(
        self, requests: Sequence[Request], candidates: Sequence[Candidates], features: Sequence[Features]
    ) -> list[Outcomes]:
        """Outcomes of each request's candidates, in their order, as if shown in the first slot."""
        ...


@runtime_checkable
class Explainer(Protocol):
    """A ranker that can say what its prediction rests on."""

    def attribute(self, features: Features) -> dict[str, Float32Array]:
        """For ``click`` and ``purchase``: (n, n_features) float32, how much each feature moved the log-odds."""
        ...


class Policy(Protocol):
    """Chooses the slate from candidates and their outcomes, and knows with what propensity it did."""

    def select(
        self,
        request: Request,
        candidates: Candidates,
        outcomes: Outcomes,
        placement: PlacementConfig,
        slate_id: str,
        features: Features | None = None,
    ) -> Slate:
        """At most ``request.size`` slots, no item twice; ``placement`` weighs the outcomes and bounds the chance.

        A slot's propensity is the chance with which this policy, having filled the slots above, puts that item there.
        Chance depends on ``slate_id`` only, so that a slate can be made again. The slate carries its slots' features.
        ``request.steering`` says what query rules pin, for certain, and by what they multiply utilities.
        """
        ...


class Meter(Protocol):
    """Hears how answering goes: for metrics, not for logic. Must not raise and must cost next to nothing."""

    def took(self, placement: str, stage: str, seconds: float) -> None:
        """A stage or source worked this long for one answer (of one or several questions together)."""
        ...

    def missed(self, placement: str, part: str, why: Literal["failed", "late", "missing"]) -> None:
        """An answer goes out without ``part``."""
        ...

    def answered(self, placement: str, n_asks: int, seconds: float) -> None:
        """So many questions were answered together."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an import has come, committed with the rows it stands for.

    ``source`` names the file and mapping, ``fingerprint`` its content, ``position`` the rows that are done.
    """

    source: str
    fingerprint: str
    position: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did. ``n_waiting`` events name items that are not in the catalogue yet; they are kept."""

    seq: int
    n_new: int
    n_changed: int = 0
    n_duplicate: int = 0
    n_waiting: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """One page of the change feed: what came after a sequence number, up to and including ``seq``.

    An item stands where it changed last, as it is now: that may be behind its events, and behind items of later rows.
    Who needs rows, or an item before its events, takes the items he lacks from ``RecordStore.read_catalogue``.
    """

    seq: int
    items: ItemTable
    events: EventTable
    is_complete: bool
    n_erasures: int = 0
    """How often a user was erased so far; when it grows, whatever is remembered of users must be forgotten."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page of a list in a fixed order; ``cursor`` continues after it, None at the end."""

    rows: Sequence[T]
    cursor: str | None


class RecordStore(Protocol):
    """Keeps items, users, events, documents and slates; the truth everything else is rebuilt from.

    Guarantees: what a call returned for is durable (its transaction is committed); concurrent writers are batched into
    one commit; every append gets ascending sequence numbers; an event id or a checkpointed row is stored once however
    often it is sent; safe to use from several threads and processes.
    """

    def append_items(self, items: ItemTable, checkpoint: Checkpoint | None = None) -> Appended:
        """Add or replace items; an unchanged item gets no new sequence number."""
        ...

    def append_users(self, users: UserTable, checkpoint: Checkpoint | None = None) -> Appended:
        """Add or replace users."""
        ...

    def append_documents(self, documents: DocumentTable, checkpoint: Checkpoint | None = None) -> Appended:
        """Add or replace documents."""
        ...

    def append_events(self, events: EventTable, checkpoint: Checkpoint | None = None) -> Appended:
        """Add events; one with a known ``event_id`` is counted as a duplicate and not stored again."""
        ...

    def append_event_groups(self, events: EventTable, n_each: Sequence[int]) -> list[Appended]:
        """Add the events of several callers in one transaction, at the price of one append; what became of each's.

        ``events`` has the rows of one caller after those of the other; ``n_each`` says how many each has.
        """
        ...

    def append_slates(self, slates: Sequence[Slate], n_erasures: int | None = None) -> Appended:
        """Write down lists before they are shown.

        ``n_erasures`` (see ``Changes``) is of a moment before they were made: if a user was erased since, they are
        written without user, query, anchors and features, for they may be his.

        Raises ``UnavailableError`` soon, within about a second, while another process has the store locked: somebody
        waits for the list.
        """
        ...

    def read_checkpoint(self, source: str, fingerprint: str) -> Checkpoint | None:
        """How far an import of this very content came."""
        ...

    def read_items(self, item_ids: Sequence[str]) -> list[Item]:
        """The items that exist among ``item_ids``, in that order."""
        ...

    def read_catalogue(self, from_row: int = 0) -> Iterable[ItemTable]:
        """Items from row ``from_row`` on (0: all) in row order, in pages."""
        ...

    def read_user(self, user_id: str) -> User | None:
        """A user's profile."""
        ...

    def read_user_states(self, user_ids: Sequence[str], n_events: int, n_shown: int) -> list[UserState]:
        """What each of these users did lately, in their order; an empty state for an unknown one.

        The last ``n_events`` events with an item of the catalogue, and beside them the last ``n_shown`` that only say
        that it was shown; together oldest first (by time, then arrival). Item rows are the store's. Of a user who was
        shown a very great deal lately, older events may be missing.
        """
        ...

    def read_waiting_events(self, item_ids: Sequence[str], up_to_seq: int) -> EventTable:
        """Events up to ``up_to_seq`` of ``item_ids`` that came before their item did, in order."""
        ...

    def read_query_counts(self, limit: int = 100_000) -> Mapping[str, int]:
        """What was searched for and how often, most frequent first, at most ``limit`` queries."""
        ...

    def read_slate(self, slate_id: str) -> Slate | None:
        """A list as it was shown."""
        ...

    def read_slates(self, after_seq: int, limit: int = 1_000) -> tuple[int, list[Slate]]:
        """Slates in the order they were written down, with their features, and the sequence number of the last.

        An empty list means that there are no more.
        """
        ...

    def seq_before_slates(self, n: int) -> int:
        """The sequence number after which the newest ``n`` slates were written down; 0 when there are no others."""
        ...

    def drop_slates(self, before_ms: int, limit: int = 200) -> int:
        """Delete the slates that were written down first and made before a moment, at most ``limit``; how many went."""
        ...

    def read_slate_events(self, after_seq: int = 0) -> Iterable[EventTable]:
        """Events that carry a ``slate_id``, robots left out, in order of arrival, in pages."""
        ...

    def read_searches(self, after_seq: int = 0) -> Iterable[EventTable]:
        """Events of typed queries, robots left out, in order of arrival, in pages."""
        ...

    def list_items(self, cursor: str | None = None, limit: int = 100) -> Listed[Item]:
        """Items in the order of their arrival. An unreadable cursor raises ``DataError``; so for the others."""
        ...

    def list_users(self, cursor: str | None = None, limit: int = 100) -> Listed[User]:
        """Profiles by id."""
        ...

    def list_events(self, cursor: str | None = None, limit: int = 100, *, user_id: str | None = None) -> Listed[Event]:
        """Events, newest arrival first; of one user when ``user_id`` is given."""
        ...

    def list_documents(self, cursor: str | None = None, limit: int = 100) -> Listed[Document]:
        """Documents by id."""
        ...

    def changes_since(
        self, seq: int, limit: int = 50_000, until: int | None = None, *, with_events: bool = True
    ) -> Changes:
        """The change feed: items and events after ``seq``, at most about ``limit`` rows, in order.

        Ends at ``until`` (None: now), which is then the page's ``seq``; without events it gives items only.
        """
        ...

    def count_since(self, seq: int) -> Mapping[str, int]:
        """How many ``items`` changed and how many ``events`` came after ``seq``; cheap, nothing is read."""
        ...

    def snapshot(self) -> Snapshot:
        """Everything to fit models on, as of now, consistent."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Rows by table, and ``waiting_events``, ``suspect_events``, ``seq``."""
        ...

    def erase_user(self, user_id: str) -> int:
        """Remove everything known of a user; returns how many rows went."""
        ...

    def close(self) -> None:
        """Finish pending commits and let go of the database; what is asked afterwards raises ``NotReadyError``."""
        ...


class StateStore(Protocol):
    """A user's live state: the last events, already reflecting everything acknowledged."""

    def read(self, user_ids: Sequence[str | None]) -> list[UserState]:
        """The states, in order; an empty one for an unknown user."""
        ...

    def record(self, events: EventTable) -> None:
        """Take in events that the record store has just acknowledged."""
        ...

    def forget(self, user_id: str) -> None:
        """Drop what is kept of a user who was erased."""
        ...

    def forget_all(self) -> None:
        """Drop everything kept: somebody was erased by another process."""
        ...


@dataclass(frozen=True)
class Manifest:
    """What is known of one version of an artifact; written beside its files.

    ``config`` and ``metrics`` are plain JSON values; ``data_seq`` is the snapshot's sequence number; ``files`` maps
    each file to its SHA-256.
    """

    name: str
    version: str
    kind: str
    created_ms: int
    data_seq: int
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    files: Mapping[str, str]


@dataclass
class Draft:
    """A version being written: the folder to fill, and the name that it was given once it was finished."""

    folder: Path
    version: str = ""


class ArtifactStore(Protocol):
    """Versioned models: written aside, promoted in one atomic step, rolled back the same way.

    Guarantees: a reader sees either the old or the new version, whole; a version killed while being written is never
    visible and is swept up later; files are checked against the manifest when opened (``CorruptError``).
    """

    def write(
        self, name: str, kind: str, *, data_seq: int, config: Mapping[str, Any], metrics: Mapping[str, float]
    ) -> AbstractContextManager[Draft]:
        """A folder to fill; leaving the context without an error makes it a version (not yet current).

        ``Draft.version`` names it from then on: the newest version may be somebody else's by the time of ``promote``.
        """
        ...

    def promote(self, name: str, version: str | None = None) -> Manifest:
        """Make a version (default: the newest) the current one."""
        ...

    def rollback(self, name: str) -> Manifest:
        """Make the version current that was so before; raises ``NotReadyError`` when there is none."""
        ...

    def current(self, name: str) -> tuple[Path, Manifest] | None:
        """Folder and manifest of the current version, checked; None when nothing was promoted."""
        ...

    def open(self, name: str, version: str) -> tuple[Path, Manifest]:
        """Folder and manifest of any version that is kept, checked; raises ``NotReadyError`` for an unknown one."""
        ...

    def promoted(self, name: str) -> str | None:
        """The current version's name, None when nothing was promoted; cheap, nothing is checked."""
        ...

    def versions(self, name: str) -> list[Manifest]:
        """All versions, oldest first."""
        ...

    def names(self) -> list[str]:
        """The models that have a current version, in alphabetical order; cheap, nothing is checked."""
        ...
