"""What teaches a shop's language models: adapting, compressing, fine-tuning, pre-training, searching for settings.

Enters: a shop's settings, records and models. Leaves: versions, and indexes made with a new encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aisle.contracts import ArtifactStore, Manifest, Progress, RecordStore
from aisle.domain import Snapshot
from aisle.errors import ConfigError, NotReadyError
from aisle.flows import adapt, compress, finetune, train, tune
from aisle.flows.adapt import ENCODER
from aisle.flows.click_texts import click_texts
from aisle.flows.rewriting import ShopRewriter
from aisle.folder import ShopFolder
from aisle.language import open_chat_model, require_chat_model
from aisle.language.adapt_config import AdaptConfig
from aisle.language.compress_config import CompressConfig
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.self_training_config import SelfTrainingConfig
from aisle.retrieval.semantic import SemanticConfig, item_texts, item_titles
from aisle.settings import EncoderConfig, Settings
from aisle.training.tuning import Tuned
from aisle.wiring import Encoding, Parts, SourceSpec, adapted_encoding, by_meaning, served

if TYPE_CHECKING:
    from aisle.language.text_model import TextModel

_WORK = ".adapting"
"""Under the versions of a model: what a killed run goes on from."""
_REWRITING = "adapt.views.rewritten_chance above 0"
"""What needs a chat model, for messages."""


@dataclass(frozen=True)
class Teacher:
    """Teaches the language models of one shop. ``parts_with`` loads a shop's parts with an encoder."""

    folder: ShopFolder
    settings: Settings
    specs: Mapping[str, SourceSpec]
    records: RecordStore
    artifacts: ArtifactStore
    parts_with: Callable[[Encoding], Parts]
    progress: Progress

    def adapt(self, config: AdaptConfig, *, force: bool) -> Manifest:
        """See ``Shop.adapt``."""
        snapshot, texts = self._material()
        return adapt.adapt(
            config,
            self.settings.encoder,
            snapshot,
            self.records,
            texts,
            self.artifacts,
            self._rewriter(snapshot, wanted=config.views.rewritten_chance > 0.0),
            self.folder.models / ENCODER / _WORK,
            lambda made: self._answering(made, snapshot, bool(made.metrics[adapt.IS_BETTER]) or force),
            self.progress,
        )

    def compress(self, config: CompressConfig, *, force: bool) -> Manifest:
        """See ``Shop.compress``."""
        snapshot, texts = self._material()
        return compress.compress(
            config,
            self.settings.encoder.model,
            self._large(),
            AdaptConfig.parse(self.settings.adapt, "adapt"),
            snapshot,
            self.records,
            texts,
            self.artifacts,
            self.folder.models / ENCODER / ".compressing",
            lambda made: self._answering(made, snapshot, bool(made.metrics[compress.IS_GOOD_ENOUGH]) or force),
            self.progress,
        )

    def tune_adapt(self, varied: Sequence[str], n_trials: int, on_ray: int = 0) -> Tuned:
        """Search for settings of ``[adapt]``; see ``flows.tune``."""
        snapshot, texts = self._material()
        where = self.folder.root / "tuning" / "adapt"
        own = self.settings.adapt, self.settings.encoder
        wanted = AdaptConfig.parse(self.settings.adapt, "adapt").views.rewritten_chance > 0.0
        given = self.records, texts, varied, n_trials, where, self._rewriter(snapshot, wanted=wanted), self.progress
        return tune.tune_adapt(*own, snapshot, *given, on_ray)

    def tune_finetune(
        self,
        tables: Sequence[LabelledTexts],
        tasks: Sequence[TaskConfig],
        varied: Sequence[str],
        n_trials: int,
        on_ray: int = 0,
    ) -> Tuned:
        """Search for settings of ``[finetune]``; see ``flows.tune``."""
        named = "-".join(task.name for task in tasks)
        where = self.folder.root / "tuning" / f"finetune-{named}"
        model = self.settings.encoder.model
        given = model, tables, tasks, varied, n_trials, where, self.progress
        return tune.tune_finetune(self.settings.finetune, *given, on_ray)

    def tune_pretrain(self, more: Sequence[str], varied: Sequence[str], n_trials: int, on_ray: int = 0) -> Tuned:
        """Search for settings of ``[pretrain]``, by ``texts`` and ``more``; see ``flows.tune``."""
        where = self.folder.root / "tuning" / "pretrain"
        given = self.texts, more, varied, n_trials, where, self.progress
        return tune.tune_pretrain(self.settings.pretrain, *given, on_ray)

    def finetune(
        self,
        name: str,
        tables: Sequence[LabelledTexts],
        tasks: Sequence[TaskConfig],
        config: FinetuneConfig | None = None,
        *,
        model: str | None = None,
        start_from: str | None = None,
        unlabelled: Sequence[LabelledTexts] = (),
        self_training: SelfTrainingConfig | None = None,
    ) -> Manifest:
        """Teach a model labels of texts; its version answers when this returns.

        Args:
            name: of the model in this shop.
            tables: what people labelled.
            tasks: what to tell.
            config: how; None takes ``[finetune]`` of the settings.
            model: what to begin from; None takes the encoder that answers, adapted or not.
            start_from: a fine-tuned model of this shop, or a folder of one, to begin from in place of ``model``; or a
                folder of an adapter that was trained on ``model``.
            unlabelled: tables of texts that the model labels for itself where it is sure, and learns from too if that
                is better; see ``self_training.self_train``.
            self_training: how it does that; None takes its defaults.

        Raises:
            ConfigError: a setting or name is wrong.
            DataError: names the table and row, and what is allowed.
        """
        config = config or FinetuneConfig.parse(self.settings.finetune, "finetune")
        encoder = adapted_encoding(self.settings.encoder, self.artifacts).config
        if model is None and encoder.kind == "openai":
            raise ConfigError(
                "the encoder is a server's, which cannot be fine-tuned here; name a model to begin from",
                setting="encoder.kind",
            )
        work = self.folder.models / f".finetuning-{name}"
        return finetune.finetune(
            name,
            tables,
            tasks,
            config,
            model,
            encoder.model,
            self.artifacts,
            work,
            start_from,
            self.progress,
            unlabelled,
            self_training or SelfTrainingConfig(),
        )

    def text_model(self, name: str) -> TextModel:
        """What ``finetune`` taught, opened.

        Raises:
            NotReadyError: there is none of this name.
            CorruptError: it is damaged.
        """
        from aisle.language.text_model import TextModel  # brings torch

        return TextModel.load(finetune.current(name, self.artifacts)[0])

    def lists(self, most_rows: int = 50_000) -> LabelledTexts:
        """Clicks and purchases in the shop's latest lists, for the tasks ``CLICK`` and ``CONVERSION``.

        Raises:
            NotReadyError: no list was clicked.
        """
        snapshot, texts = self._material()
        return click_texts(snapshot, self.records, texts, most_rows)

    def texts(self) -> list[str]:
        """All that the shop says and is asked: items' texts, and queries."""
        return [*self._material()[1], *self.records.read_query_counts()]

    def _material(self) -> tuple[Snapshot, list[str]]:
        source = self._source()
        snapshot = self.records.snapshot()
        if not snapshot.n_items:
            raise NotReadyError(
                "the shop has no items; bring a catalogue in first: `aisle import`", command="aisle import"
            )
        return snapshot, item_texts(snapshot.items, source)

    def _source(self) -> SemanticConfig:
        """The settings by which items are written down for the encoder."""
        semantic = by_meaning(self.specs)
        if not semantic:
            raise ConfigError("no placement asks a semantic source, so that nothing would use the encoder")
        source = semantic[0].config
        assert isinstance(source, SemanticConfig)
        return source

    def _rewriter(self, snapshot: Snapshot, *, wanted: bool) -> ShopRewriter:
        """What rewrites texts for training; where that is ``wanted`` and no chat model named, it is refused at once."""
        chat, progress = self.settings.chat, self.progress
        if wanted:
            require_chat_model(chat, _REWRITING)
        return ShopRewriter(
            open_chat=lambda: open_chat_model(chat, _REWRITING, progress=progress),
            kept=self.folder.rewritings,
            titles=item_titles(snapshot.items, self._source()),
            records=self.records,
            languages=self.settings.shop.languages,
            progress=progress,
        )

    def _large(self) -> tuple[EncoderConfig, str | None]:
        """The encoder that answers, or what it was made smaller from: its config and version."""
        config = self.settings.encoder
        version = adapted_encoding(config, self.artifacts).version
        known = {manifest.version: manifest for manifest in self.artifacts.versions(ENCODER)}
        while version in known and compress.PRECISION in known[version].config:
            version = known[version].config[compress.LARGE]
        if version is None:
            return config, None
        if version not in known:
            raise NotReadyError(
                f"version {version} of the encoder, of which the one that answers was made, is no longer kept; run "
                "`aisle adapt` first, which makes a new one",
                command="aisle adapt",
            )
        return served(config, self.folder.models / ENCODER / version, known[version]).config, version

    def _answering(self, manifest: Manifest, snapshot: Snapshot, is_wanted: bool) -> Manifest:
        """Make indexes with a version of the encoder and promote it, if it is wanted."""
        if not is_wanted:
            return manifest
        encoding = served(self.settings.encoder, self.folder.models / ENCODER / manifest.version, manifest)
        # Indexes first: whoever opens the shop between the two steps still finds everything by words.
        train.train(by_meaning(self.specs), snapshot, self.parts_with(encoding))
        return self.artifacts.promote(ENCODER, manifest.version)
