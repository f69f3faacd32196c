"""The shop object: everything a program can do with a shop. What it is made of is chosen in ``wiring.py``."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from aisle.contracts import Appended, ArtifactStore, Clock, Listed, Manifest, Meter, Progress, silent
from aisle.domain import (
    Context,
    Document,
    DocumentTable,
    Event,
    EventTable,
    Explanation,
    Filters,
    Item,
    ItemTable,
    Response,
    Slate,
    Sort,
    User,
    UserTable,
)
from aisle.domain.checks import several
from aisle.errors import AisleError, ConfigError, DataError, NotReadyError, unknown_name
from aisle.evaluation import Report
from aisle.evaluation.search_report import SearchReport
from aisle.flows import finetune, recommend, search, train
from aisle.flows.adapt import ENCODER
from aisle.flows.asks import Ask, all_answered, pages
from aisle.flows.classify import Classifiers
from aisle.flows.diagnose import Finding, diagnose
from aisle.flows.evaluate import EvaluationPlan, evaluate
from aisle.flows.explain import explain
from aisle.flows.rank_training import RankerSpec, said, train_ranker
from aisle.flows.rule_book import RuleBook
from aisle.flows.search_report import SearchReportPlan, search_report
from aisle.flows.stages import RANKER, Unmetered
from aisle.flows.train import SourceSpec
from aisle.folder import ShopFolder
from aisle.ingest import ImportConfig, ImportReport, TableMapping, import_files
from aisle.ingest.cleaning import CleaningConfig
from aisle.ingest.mapping import FormatName
from aisle.language.adapt_config import AdaptConfig
from aisle.language.compress_config import CompressConfig
from aisle.live import Belongings, LiveShop
from aisle.merchandising.checking import Known
from aisle.retrieval.fusion import fuse
from aisle.retrieval.suggest import Suggestion
from aisle.settings import Settings
from aisle.storage import SlateOutbox, SqlRecords
from aisle.teacher import Teacher
from aisle.wiring import (
    Live,
    adapted_encoding,
    by_meaning,
    inspect,
    inspect_ranker,
    placements_for,
    ranker_spec,
    read_catalogue,
    source_specs,
)

ANYTHING = Filters()
ANYWHERE = Context()

log = logging.getLogger("aisle.shop")


def now_ms() -> int:
    """The system's clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000


class Shop:
    """A shop that can be filled, trained and asked. Safe to use from several threads; a context manager.

    Opening is cheap: sources, models and the encoder are loaded by the first question.
    """

    @classmethod
    def open(
        cls, folder: str | Path, *, clock: Clock = now_ms, progress: Progress = silent, meter: Meter | None = None
    ) -> Self:
        """Open the shop in ``folder``; ``progress`` hears of long work such as training.

        Raises:
            ConfigError: it is not a shop, or a setting is wrong.
            CorruptError: its database is damaged.
        """
        return cls(ShopFolder(Path(folder)), clock=clock, progress=progress, meter=meter)

    def __init__(
        self, folder: ShopFolder, *, clock: Clock = now_ms, progress: Progress = silent, meter: Meter | None = None
    ) -> None:
        self.folder = folder
        self.settings: Settings = folder.read_settings()
        self.clock = clock
        self.progress = progress
        self.meter: Meter = meter or Unmetered()
        self.specs: Mapping[str, SourceSpec] = source_specs(folder, self.settings, clock)
        """Sources and statistics."""
        self.ranker: RankerSpec = ranker_spec(folder, self.settings, clock)
        self.records = SqlRecords.open(folder.database)
        self.outbox = SlateOutbox(self.records, clock, kept_days=self.settings.shop.slates_kept_days)
        """Lists on their way into the records."""
        self.classifiers = Classifiers(self.ranker.artifacts)
        """The fine-tuned models, asked by name; see ``teacher.finetune``."""
        self.rules = RuleBook(folder.database, self.records, clock, self._rules_know, lambda: self._live.ready().stages)
        """What the shop itself says of queries: synonyms, pins, boosts and so on; see ``flows.rule_book``."""
        own = self.folder, self.settings, self.specs, self.ranker, self.records, self.outbox, self.rules
        self._live = LiveShop(Belongings(*own, clock, progress, self.meter))

    # Filling it.

    def add_items(self, items: Iterable[Item] | ItemTable) -> Appended:
        """Add or replace items; they can be found and recommended when this returns."""
        appended = self.records.append_items(_table(ItemTable, items))
        self._live.acknowledge(appended.seq)
        return appended

    def add_users(self, users: Iterable[User] | UserTable) -> Appended:
        """Add or replace users' profiles."""
        return self.records.append_users(_table(UserTable, users))

    def add_events(self, events: Iterable[Event] | EventTable) -> Appended:
        """Record events; when this returns they are stored, and the next answer reflects them.

        Only while a large import is being taken in may an answer come without: it says so (``latest-events`` in
        ``degraded``).
        """
        appended = self.records.append_events(_table(EventTable, events).require_milliseconds())
        self._live.acknowledge(appended.seq)
        return appended

    def add_event_groups(self, events: EventTable, n_each: Sequence[int]) -> list[Appended]:
        """Record the events of several callers at the price of one, as ``add_events``; what became of each's.

        ``events`` has the rows of one caller after those of the other; ``n_each`` says how many each has.
        """
        appended = self.records.append_event_groups(events.require_milliseconds(), n_each)
        self._live.acknowledge(max((group.seq for group in appended), default=0))
        return appended

    def add_documents(self, documents: Iterable[Document] | DocumentTable) -> Appended:
        """Add or replace documents."""
        return self.records.append_documents(_table(DocumentTable, documents))

    def import_files(
        self,
        paths: Sequence[str | Path],
        mapping: TableMapping | str | Path | None = None,
        *,
        config: ImportConfig | None = None,
        format: FormatName | None = None,
        stdin: BinaryIO | None = None,
    ) -> ImportReport:
        """Bring one table in from files, folders, patterns or standard input (``-``); see ``aisle.ingest``.

        Args:
            paths: what to read, in order.
            mapping: a mapping, its file, a ready one's name (``ga4``, ...), or None when columns have our names.
            config: limits and what is believable; None takes the defaults with the shop's currency.
            format: of sources whose name does not tell it.
            stdin: standard input, when ``-`` is among the paths.

        Raises:
            ConfigError: a mapping or a path that cannot be used.
            UnavailableError: the database takes no rows now; run the same import again, it goes on where it was.
        """
        report = import_files(
            paths,
            mapping,
            self.records,
            clock=self.clock,
            config=config or ImportConfig(cleaning=CleaningConfig(currency=self.settings.shop.currency)),
            format=format,
            progress=self.progress,
            refusals_path=self.folder.refusals / f"{self.clock()}-{uuid.uuid4().hex[:8]}.jsonl",
            stdin=stdin,
        )
        self._live.acknowledge(self.records.counts()["seq"])
        return report

    def erase_user(self, user_id: str) -> int:
        """Remove everything recorded of a user; returns how many rows went. Models forget at the next training."""
        self.outbox.forget(user_id)
        n_rows = self.records.erase_user(user_id)
        if self._live.opened:
            self._live.opened.stages.states.forget(user_id)
        return n_rows

    def refresh(self) -> int:
        """Take in what other processes have recorded and which rules they published; the sequence number reached."""
        self.rules.renew()
        return self.live.follower.catch_up()

    def load(self) -> None:
        """Make everything ready to answer now, suggestions too, so that no question waits for it. Takes seconds."""
        self._live.suggestions()

    def follow(self, every_seconds: float | None = None) -> None:
        """Have a thread load the shop and keep it up with other processes: what they record, erase, train, roll back.

        Args:
            every_seconds: how often to look; None takes ``serving.follow_ms``. It ends with ``close``.
        """
        self._live.follow(self.settings.serving.follow_ms / 1000 if every_seconds is None else every_seconds)

    # Asking it.

    def search(
        self,
        text: str,
        *,
        user_id: str | None = None,
        size: int | None = None,
        filters: Filters = ANYTHING,
        sort: Sort = "relevance",
        cursor: str | None = None,
        context: Context = ANYWHERE,
    ) -> Response:
        """Items for a typed query, best first; ``cursor`` of a response asks for its next page."""
        ask = Ask(user_id, text, size=size, filters=filters, context=context, sort=sort, cursor=cursor)
        return self.ask_search([ask])[0]

    def search_many(
        self, texts: Sequence[str], *, size: int | None = None, filters: Filters = ANYTHING
    ) -> list[Response]:
        """``search`` for many queries at once."""
        return self.ask_search([Ask(text=text, size=size, filters=filters) for text in texts])

    def ask_search(self, asks: Sequence[Ask]) -> list[Response]:
        """``search`` for asks of every form; raises what is wrong with the first that is."""
        return all_answered(self.try_search(asks))

    def try_search(self, asks: Sequence[Ask]) -> list[Response | AisleError]:
        """``ask_search``, with an error in the place of each ask that is wrong; the others are answered."""
        stages = self._live.ready().stages
        return [response for page in pages(asks) for response in search.search(page, stages)]

    def recommend(
        self,
        placement: str = "recommended-for-you",
        *,
        user_id: str | None = None,
        item_ids: Sequence[str] = (),
        size: int | None = None,
        filters: Filters = ANYTHING,
        context: Context = ANYWHERE,
    ) -> Response:
        """The list of a placement for a user, about ``item_ids`` where the placement is about items."""
        ask = Ask(user_id=user_id, item_ids=several("item_ids", item_ids), size=size, filters=filters, context=context)
        return self.ask_recommend(placement, [ask])[0]

    def recommend_many(
        self,
        user_ids: Sequence[str | None],
        placement: str = "recommended-for-you",
        *,
        size: int | None = None,
        filters: Filters = ANYTHING,
    ) -> list[Response]:
        """``recommend`` for many users at once."""
        return self.ask_recommend(placement, [Ask(user_id=user_id, size=size, filters=filters) for user_id in user_ids])

    def ask_recommend(self, placement: str, asks: Sequence[Ask]) -> list[Response]:
        """``recommend`` for asks of every form; raises what is wrong with the first that is."""
        return all_answered(self.try_recommend(placement, asks))

    def try_recommend(self, placement: str, asks: Sequence[Ask]) -> list[Response | AisleError]:
        """``ask_recommend``, with an error in the place of each ask that is wrong; the others are answered.

        Raises:
            ConfigError: unknown placement.
        """
        stages = self._live.ready().stages
        return [response for page in pages(asks) for response in recommend.recommend(placement, page, stages)]

    def similar(self, item_id: str, *, user_id: str | None = None, size: int | None = None) -> Response:
        """Items like ``item_id``."""
        return self.recommend("similar-items", item_ids=[item_id], user_id=user_id, size=size)

    def complete_basket(
        self, item_ids: Sequence[str], *, user_id: str | None = None, size: int | None = None
    ) -> Response:
        """What goes with the items in a basket."""
        return self.recommend("frequently-bought-together", item_ids=item_ids, user_id=user_id, size=size)

    def suggest(self, prefix: str, *, size: int = 10, language: str | None = None) -> list[Suggestion]:
        """Ways to go on typing ``prefix``."""
        return self._live.suggestions().complete(prefix, size, language)

    def read_items(self, item_ids: Sequence[str]) -> list[Item]:
        """The items that exist among ``item_ids``, in that order."""
        return self.records.read_items(item_ids)

    def read_user(self, user_id: str) -> User | None:
        """A user's profile; None when there is none."""
        return self.records.read_user(user_id)

    def read_slate(self, slate_id: str) -> Slate | None:
        """A list as it was shown; None when there is none of that id."""
        opened = self._live.opened
        return opened.stages.slates.read(slate_id) if opened else self.records.read_slate(slate_id)

    def explain(self, slate_id: str, language: str | None = None) -> Explanation:
        """Why a list is as it is: sources, outcomes and reasons in words of each slot.

        Args:
            slate_id: of a list that was shown.
            language: such as ``zh``; None is the shop's first, and one that is not spoken is answered in English.

        Raises:
            DataError: no such list.
        """
        slate = self.read_slate(slate_id)
        if slate is None:
            raise DataError(f"unknown slate {slate_id!r}; take the slate_id of an answer", field="slate_id")
        in_service = self.live.stages.lineup.in_service
        made_it = slate.versions.get(RANKER) == in_service.versions.get(RANKER)
        return explain(
            slate, in_service.ranker if made_it else None, self.read_items, language or self.settings.shop.languages[0]
        )

    def list_items(self, cursor: str | None = None, limit: int = 100) -> Listed[Item]:
        """Items in the order of their arrival, a page; its ``cursor`` continues."""
        return self.records.list_items(cursor, limit)

    def list_users(self, cursor: str | None = None, limit: int = 100) -> Listed[User]:
        """Profiles by id, a page."""
        return self.records.list_users(cursor, limit)

    def list_events(self, cursor: str | None = None, limit: int = 100, *, user_id: str | None = None) -> Listed[Event]:
        """Events, newest arrival first, a page; of one user when ``user_id`` is given."""
        return self.records.list_events(cursor, limit, user_id=user_id)

    def list_documents(self, cursor: str | None = None, limit: int = 100) -> Listed[Document]:
        """Documents by id, a page."""
        return self.records.list_documents(cursor, limit)

    def counts(self) -> Mapping[str, int]:
        """How much is recorded: rows by table, ``waiting_events``, ``suspect_events`` and the sequence number."""
        return self.records.counts()

    # Learning.

    def train(self, names: Sequence[str] | None = None, *, told: Callable[[str], None] = log.info) -> list[Manifest]:
        """Fit sources, statistics and the ranker (default: all) on everything recorded, and put them into service.

        The ranker is left out while too few lists were shown, unless it is named. One that does not pass its gate is
        written and does not answer: ``passed`` in its metrics is 0.

        Args:
            names: sources, ``statistics``, ``ranker``; None is all of them.
            told: hears in words what became of the ranker.

        Raises:
            ConfigError: unknown source.
            NotReadyError: the shop has no items, or the ranker is named and too few lists were shown.
        """
        known = self.trainable
        wanted = list(several("names", names)) if names is not None else known
        for name in wanted:
            if name not in known:
                raise ConfigError(unknown_name("source", name, known), setting=f"source.{name}")

        with self._live.training:
            snapshot = self.records.snapshot()
            parts = self._live.parts_for(snapshot)
            specs = [self.specs[name] for name in wanted if name != RANKER]
            manifests = train.train(specs, snapshot, parts, lambda trained: self._live.put_into_service(trained, parts))
            if RANKER not in wanted:
                return manifests
            try:
                ranker = train_ranker(self.ranker, self.records, parts)
            except NotReadyError as error:
                if names is not None:
                    raise
                told(str(error))
                return manifests
            told(said(ranker))
            if ranker.verdict.is_passed:
                self._live.bring_in(RANKER)
            return [*manifests, ranker.manifest]

    def adapt(self, config: AdaptConfig | None = None, *, force: bool = False) -> Manifest:
        """Teach the encoder this shop's words and what belongs together in it; it answers if it got better.

        Compared on queries (or items) that were not learned; one whose gain may be chance is written and does not
        answer, unless ``force``. A killed run goes on where it was. ``config`` None takes ``[adapt]`` of the settings.

        Returns:
            The version, with ``ndcg@10_before`` and ``ndcg@10_after``, the gain's interval and ``is_better``.

        Raises:
            ConfigError: a setting is wrong, or the encoder is a server's.
            NotReadyError: there are too few pairs of texts to learn from.
        """
        config = config or AdaptConfig.parse(self.settings.adapt, "adapt")
        return self._live.taught(lambda: self.teacher.adapt(config, force=force))

    def compress(self, config: CompressConfig | None = None, *, force: bool = False) -> Manifest:
        """Make the encoder that answers smaller and faster; the small one answers if it loses little enough.

        One that loses more of the NDCG@10 on held-out queries than ``most_lost`` is written and does not answer, unless
        ``force``. A killed run goes on where it was. ``config`` None takes ``[compress]`` of the settings.

        Returns:
            The version, with ``megabytes``, ``texts_per_second``, ``query_ms``, ``ndcg@10`` and ``agreement`` of each
            step (``megabytes.int8``), ``lost`` with its interval, ``times_faster`` and ``is_good_enough``.

        Raises:
            ConfigError: a setting is wrong, or the encoder is not one that is served by ONNX.
            NotReadyError: there is nothing to compare by.
        """
        config = config or CompressConfig.parse(self.settings.compress, "compress")
        return self._live.taught(lambda: self.teacher.compress(config, force=force))

    @property
    def teacher(self) -> Teacher:
        """Teaches the shop's language models."""
        own = self.folder, self.settings, self.specs, self.records, self.ranker.artifacts
        return Teacher(*own, self._live.parts_with, self.progress)

    def rollback(self, name: str) -> Manifest:
        """Put the version of a source, ``statistics``, ``ranker`` or ``encoder`` promoted before into service again.

        ``text.NAME`` is a fine-tuned model.

        Raises:
            ConfigError: unknown name.
            NotReadyError: there is no earlier version.
            CorruptError: a file of the earlier version is damaged; the current version stays.
        """
        if name not in self.versions_of:
            raise ConfigError(unknown_name("source", name, self.versions_of), setting=f"source.{name}")
        if finetune.is_kept(name, self.ranker.artifacts):
            return self.ranker.artifacts.rollback(name)
        with self._live.training:
            manifest = self.versions_of[name].rollback(name)
            if name == ENCODER:
                train.train(
                    by_meaning(self.specs),
                    self.records.snapshot(),
                    self._live.parts_with(adapted_encoding(self.settings.encoder, self.ranker.artifacts)),
                )
                self._live.renew_encoder()
            else:
                self._live.bring_in(name)
            return manifest

    @property
    def trainable(self) -> list[str]:
        """What ``train`` knows: sources, statistics, ranker."""
        return [*self.specs, RANKER]

    @property
    def versions_of(self) -> Mapping[str, ArtifactStore]:
        """Where the versions of everything that is trained are kept, by name.

        Sources, statistics, ranker, encoder, and ``text.NAME`` for each fine-tuned model.
        """
        of_sources, others = {name: spec.artifacts for name, spec in self.specs.items()}, self.ranker.artifacts
        tuned = [finetune.kept_as(name) for name in finetune.names_kept(others)]
        return {**of_sources, **dict.fromkeys([RANKER, ENCODER, *tuned], others)}

    def evaluate(self, plan: EvaluationPlan | None = None) -> Report:
        """Measure a placement on held-out behaviour; the shop's own models are not touched."""
        plan = plan or EvaluationPlan()
        if plan.placement not in self.settings.placement:
            raise ConfigError(unknown_name("placement", plan.placement, self.settings.placement))
        snapshot = self.records.snapshot()
        parts = self._live.parts_for(snapshot)
        placement = placements_for(self.settings, self.specs, parts)[plan.placement]
        return evaluate(snapshot, placement, self.specs, parts, fuse, plan)

    def search_report(self, plan: SearchReportPlan | None = None, *, compare: Sequence[str] = ()) -> SearchReport:
        """Look at the quality of search: its log, judged queries, and with ``compare`` what a version changes.

        Args:
            plan: days, judgments and so on.
            compare: ``NAME=VERSION`` against what is in service, or two of one model; ``NAME`` is the one before.

        Raises:
            ConfigError: an unknown model.
            NotReadyError: the version is not kept, or there is nothing to compare on.
            DataError: none of the judged items is in the shop.
        """
        change = self._live.change(compare, self.versions_of) if compare else None
        own = self.settings.shop.name, self.records.snapshot, self.live.stages
        return search_report(*own, plan or SearchReportPlan(), self.progress, change)

    def doctor(self) -> list[Finding]:
        """What is missing or wrong, and what to run."""
        if self._live.answering:
            lineup = self._live.answering.stages.lineup
            return diagnose(self.folder.root, self.records, self.specs, self.ranker, lineup.failures, lineup.versions)
        failures, loaded = {}, []
        if self.records.counts()["items"]:
            parts = self._live.load_parts()
            failures, loaded = inspect(self.specs.values(), parts, self.records)
            failures |= inspect_ranker(self.ranker, parts)
        return diagnose(self.folder.root, self.records, self.specs, self.ranker, failures, loaded)

    @property
    def live(self) -> Live:
        """The parts that answer requests, loaded by the first call, with what was acknowledged taken in."""
        return self._live.caught_up()

    # Letting go of it.

    def close(self) -> None:
        """Finish pending writes and let go of the files; what is asked afterwards raises ``NotReadyError``."""
        self._live.stop_following()
        self.outbox.drain()
        self.records.close()
        self.rules.close()
        self._live.close()

    def _rules_know(self) -> Known:
        catalogue = self._live.opened.parts.catalogue if self._live.opened else read_catalogue(self.records)
        return Known(catalogue, self.settings.placement, self.clock())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _table(kind: Any, rows: Any) -> Any:
    return rows if isinstance(rows, kind) else kind.from_rows(rows)
