"""Configuration: the shop's ``aisle.toml`` and the base of every component's own config.

Enters: a TOML file. Leaves: frozen, checked records. A component's config stands beside the component; here a source's
table stays raw until the composition root hands it to the component that knows it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from aisle.domain.items import ItemKind
from aisle.domain.money import CURRENCIES
from aisle.errors import ConfigError, unknown_name


class Config(BaseModel):
    """Base of every configuration record: frozen, unknown keys refused, defaults checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def parse(cls, table: Mapping[str, Any], where: str) -> Self:
        """Check ``table``; ``where`` is its dotted name for messages.

        Raises:
            ConfigError: names the setting, the value received and what is allowed.
        """
        try:
            return cls.model_validate(dict(table))
        except ValidationError as error:
            first = error.errors()[0]
            path = [str(part) for part in first["loc"]]
            setting = ".".join([where, *path]).strip(".")
            if first["type"] == "extra_forbidden":
                table_name = ".".join([where, *path[:-1]]).strip(".")
                message = f"[{table_name}]: " + unknown_name("setting", path[-1], _fields_at(cls, path[:-1]))
            elif isinstance(first.get("input"), Mapping) and first["type"] == "value_error":
                # A check of our own over a whole table names what it received.
                message = f"{setting}: {first['msg'].removeprefix('Value error, ')}"
            else:
                message = f"{setting} = {first.get('input')!r}: {first['msg'].removeprefix('Value error, ')}"
            raise ConfigError(message, setting=setting) from error


def _fields_at(record: type[BaseModel], path: list[str]) -> list[str]:
    """Settings of the table that ``path`` leads to from ``record``, through mappings of tables too."""
    for part in path:
        if part in record.model_fields:
            annotation = record.model_fields[part].annotation
            inner = [annotation, *get_args(annotation)]
            record = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), record)
    return [field.alias or name for name, field in record.model_fields.items()]


Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
"""A BCP 47 primary tag."""


class ShopConfig(Config):
    """The shop itself."""

    name: str = "My shop"
    """Shown to people."""
    currency: str = "USD"
    """ISO 4217; prices without a currency are taken to be in it."""
    languages: tuple[Language, ...] = Field(default=("en", "zh"), min_length=1)
    """Languages of texts and answers, the first being the default."""
    slates_kept_days: int = Field(default=90, ge=0)
    """Lists older than this are deleted, so that they can no longer be explained or learned from; 0 keeps all. Raising
    it costs disk, about 12 kilobytes a list of 20."""

    @field_validator("currency")
    @classmethod
    def _is_a_code(cls, currency: str) -> str:
        if re.fullmatch(r"[A-Z]{3}", currency) is None:
            raise ValueError("a currency is written in three capitals such as EUR")
        if currency not in CURRENCIES:
            raise ValueError(f"{currency} is no currency of ISO 4217; give a code of it such as EUR, USD or CNY")
        return currency


class RayEncodingConfig(Config):
    """Many texts are encoded by processes of a Ray cluster, each with the model loaded once (``aisle[ray]``)."""

    address: str | None = None
    """``HOST:PORT`` of the head of a cluster that this machine is part of, ``auto`` for the one that runs here; None is
    the one that RAY_ADDRESS names, else one of this machine alone that ends with the run."""
    processes: int = Field(default=2, ge=1)
    """Processes at most, on all machines together. Raising it to what the cluster holds is as many times faster."""
    cpus: int = Field(default=1, ge=1)
    """Cores a process has for itself, which takes the place of ``n_threads``."""
    gpus: float = Field(default=0.0, ge=0.0)
    """GPUs a process has for itself; 0.5 puts two on one. For ``transformers``."""
    batch_size: int = Field(default=1024, ge=1)
    """Texts that a process is given at once. Raising it sends less often, and loses more where a process dies."""
    least_texts: int = Field(default=5_000, ge=0)
    """Fewer texts than this are encoded here, as starting the processes takes longer."""
    retries: int = Field(default=2, ge=0)
    """How often a process that died is started again, and its texts with it. What the encoder refuses is not tried
    again."""


class EncoderConfig(Config):
    """Which language model turns text into vectors."""

    kind: str = "onnx"
    """``onnx`` (default), ``transformers`` or ``openai``, or a plug-in's name."""
    model: str | None = None
    """A model folder or name; None is the packaged MiniLM. For ``openai`` the served model's name."""
    adapted: bool = True
    """Whether what ``aisle adapt`` made of ``model`` and promoted answers in its place; false goes back to
    ``model``."""
    precision: Literal["fp32", "int8"] = "fp32"
    """``int8`` (per channel, onnx only) is about 1.7 times faster and slightly less exact."""
    query_precision: Literal["fp32", "int8"] = "int8"
    """The same for what is typed, whose vector somebody waits for: ``int8`` takes a third of the time."""
    address: str | None = None
    """Base address of an OpenAI-compatible server; only for ``openai``."""
    batch_size: int = Field(default=64, ge=1)
    """Texts a batch; raising it costs memory and, past about 64 on a CPU, gains nothing."""
    n_threads: int = Field(default=0, ge=0)
    """Cores one encoding uses, 0 all of them; lower it where many requests run at once (onnx and transformers)."""
    ray: RayEncodingConfig | None = None
    """Where many texts are encoded, such as those of all items, see ``[encoder.ray]``; None is here."""


class ChatConfig(Config):
    """Which language model answers in words. There is none unless the shop names one."""

    kind: str
    """``openai`` (any server that speaks OpenAI's protocol) or ``transformers`` (a model on this machine), or a
    plug-in's name."""
    model: str
    """For ``openai`` the served model's name; for ``transformers`` a folder or Hugging Face name of a causal model."""
    address: str | None = None
    """Base address of the server including ``/v1``; None is OpenAI's own. Only for ``openai``."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the server's key; servers without keys ignore it."""
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    """How much is left to chance; 0 says the likeliest. None leaves it to the model."""
    max_tokens: int = Field(default=2048, ge=1)
    """Tokens of an answer at most; what is longer is cut. Raising it may cost time and money."""
    timeout_seconds: float = Field(default=60.0, gt=0)
    """How long one attempt may take (openai). Raising it waits longer for slow servers."""
    n_retries: int = Field(default=4, ge=0)
    """Further attempts after a connection error, a timeout, 408, 409, 429 or 5xx, after longer and longer pauses."""
    n_at_once: int = Field(default=4, ge=1, le=256)
    """Questions asked at the same time: requests to a server, rows of a batch of a local model. Raising it is faster
    until the server's limit, or the memory, is reached."""
    n_threads: int = Field(default=0, ge=0)
    """Cores a local model uses, 0 all of them (transformers)."""


class FloorConfig(Config):
    """From which score on a source vouches for an item. Scores are the source's own, and only those above 0 vouch."""

    least: float | None = None
    """Least score. Raising it leaves more out; what it means depends on the source. None is 0, and for ``semantic``
    what suits the model: 0.45 for the packaged one, for an adapted or compressed one what its version measured."""
    share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Least share of the best score that the source gives for the request. Raising it leaves more out."""


class FusionConfig(Config):
    """How lists of several sources become one."""

    method: Literal["rank", "scaled", "zscore"] = "rank"
    """``rank`` adds reciprocal ranks; ``scaled`` adds scores divided by the source's best for the request; ``zscore``
    adds scores standardised over the request's candidates."""
    weights: Mapping[str, float] = Field(default_factory=dict)
    """Weight by source, 1.0 where absent; raising it pulls that source's items up."""
    rank_constant: float = Field(default=60.0, gt=0)
    """``rank`` only: raising it flattens the difference between the first ranks."""
    floors: Mapping[str, FloorConfig] = Field(default_factory=dict)
    """By source, from which score on it vouches for an item; an item that no source vouches for is not found, so that
    nonsense finds nothing. A source without a floor vouches for all it proposes; without any floor all is found."""


class ExploreConfig(Config):
    """How much of a list is left to chance, so that models learn of what they would not have shown."""

    share: float = Field(default=0.0, ge=0.0, le=0.5)
    """Chance of each slot to be filled at random; raising it learns faster and costs clicks."""
    pool: int = Field(default=50, ge=2, le=1000)
    """How many of the best remaining candidates a random slot is drawn from; raising it explores further down."""


class PlacementConfig(Config):
    """A place where a list is shown."""

    sources: tuple[str, ...] = Field(min_length=1)
    """Names of candidate sources, see ``[source.*]``."""
    backfill: tuple[str, ...] = ()
    """Sources asked, in order, only when the list is still short; each item says it came from there."""
    kinds: tuple[ItemKind, ...] = (ItemKind.PRODUCT,)
    """What may be shown here."""
    size: int = Field(default=20, ge=1, le=1000)
    """Items in a list unless the request says otherwise."""
    n_candidates: int = Field(default=200, ge=1, le=10_000)
    """Candidates asked of each source; raising it costs time and finds more."""
    fusion: FusionConfig = FusionConfig()
    """How the lists of ``sources`` become one."""
    same_category: float = Field(default=1.0, ge=0.0, le=1.0)
    """What a candidate keeps of its fused score when its deepest category is that of an item the list is about.
    Lowering it lets what goes with an item come before what could replace it."""
    guesses: float = Field(default=0.0, ge=0.0, le=10.0)
    """How much the category and brand that a query seems to mean raise the fused score of their items, as a share of
    the best score times the guess's probability. Raising it trusts guesses more; 0 orders without them."""
    n_ranked: int = Field(default=200, ge=1, le=10_000)
    """The best candidates of fusion that the ranker looks at; raising it costs time and finds more."""
    objective: Mapping[Literal["click", "purchase", "revenue", "margin"], float] = Field(
        default_factory=lambda: {"click": 1.0, "purchase": 5.0}
    )
    """Weight of each expected outcome in an item's utility; ``revenue`` and ``margin`` count per unit of the shop's
    currency. Without a trained ranker the fused score is the utility."""
    group: str | None = Field(default=None, min_length=1)
    """Name of the attribute whose value variants of one thing share, such as ``parent_id``; a list then shows the first
    ones of each group and tells how many more were found. None groups nothing."""
    group_most: int = Field(default=1, ge=1)
    """Items of one group in a list at most."""
    is_relaxed_when_empty: bool = True
    """True widens a query for which nothing is found, step by step, and says in ``relaxed`` what was given up; False
    leaves the list empty."""
    diversity: float = Field(default=0.0, ge=0.0, le=1.0)
    """Raising it trades utility for items unlike those above them in the list (maximal marginal relevance)."""
    explore: ExploreConfig = ExploreConfig()
    """Chance in the list; every slot's propensity is written down."""
    timeout_ms: int = Field(default=500, ge=1, le=60_000)
    """A part (source, ranker, ...) that has not answered in time is left out of the answer and named in ``degraded``;
    the answer takes about as long at most. Questions asked together get as much each, a minute in all."""
    has_seen: bool = True
    """False leaves out what the user has looked at or bought."""
    has_bought: bool = True
    """False leaves out what the user has bought."""
    is_in_stock_only: bool = True
    """True shows only what can be bought now."""

    @model_validator(mode="after")
    def _weighs_its_own_sources(self) -> Self:
        for table, names in (("weights", self.fusion.weights), ("floors", self.fusion.floors)):
            for name in names:
                if name not in self.sources:
                    known = unknown_name("source of this placement", name, self.sources)
                    raise ValueError(f"fusion.{table}: {known}")
        return self


DEFAULT_PLACEMENTS: Mapping[str, PlacementConfig] = {
    "search": PlacementConfig(
        sources=("lexical", "semantic"),
        fusion=FusionConfig(
            method="scaled",
            weights={"lexical": 1.0, "semantic": 0.5},
            floors={"lexical": FloorConfig(share=0.2), "semantic": FloorConfig()},
        ),
        guesses=0.3,
        kinds=tuple(ItemKind),
        is_in_stock_only=False,
    ),
    "browse": PlacementConfig(
        sources=("linear", "popular"),
        fusion=FusionConfig(method="scaled", weights={"linear": 0.5, "popular": 1.0}),
        backfill=("new_arrivals",),
        kinds=tuple(ItemKind),
        size=24,
        n_candidates=1_000,
        is_in_stock_only=False,
    ),
    "recommended-for-you": PlacementConfig(
        sources=("linear", "item_neighbours", "popular", "trending", "new_arrivals"),
        fusion=FusionConfig(
            method="scaled",
            weights={"linear": 1.0, "item_neighbours": 0.6, "popular": 0.2, "trending": 0.05, "new_arrivals": 0.02},
        ),
        has_bought=False,
        diversity=0.1,
        explore=ExploreConfig(share=0.02),
    ),
    "similar-items": PlacementConfig(sources=("item_neighbours", "semantic"), backfill=("popular",)),
    "frequently-bought-together": PlacementConfig(
        sources=("linear", "buy_again"),
        fusion=FusionConfig(method="scaled", weights={"linear": 1.0, "buy_again": 0.3}),
        backfill=("bought_together", "item_neighbours"),
        same_category=0.5,
        size=6,
    ),
    "buy-it-again": PlacementConfig(sources=("buy_again",)),
    "recently-viewed": PlacementConfig(sources=("recently_viewed",)),
    "trending": PlacementConfig(sources=("trending",), backfill=("popular",)),
    "new-arrivals": PlacementConfig(sources=("new_arrivals",)),
    "popular": PlacementConfig(sources=("popular",)),
}


def _changed(default: Config, given: Any) -> Any:
    """The settings of ``default`` where ``given`` has none; a table of settings inside is changed the same way."""
    if not isinstance(given, Mapping):
        return given
    inner = {name: getattr(default, name) for name in given if name in type(default).model_fields}
    changed = {
        name: _changed(inner[name], value) if isinstance(inner.get(name), Config) else value
        for name, value in given.items()
    }
    return {**default.model_dump(), **changed}


def _of_its_sources(changed: Any, given: Any) -> Any:
    """A changed placement without the default's weights and floors of sources it no longer has; given ones stay."""
    if not isinstance(given, Mapping) or not isinstance(given.get("sources"), list | tuple):
        return changed
    fusion, given_fusion = changed["fusion"], given.get("fusion", {})
    if not isinstance(fusion, Mapping) or not isinstance(given_fusion, Mapping):
        return changed
    by_default = [table for table in ("weights", "floors") if table not in given_fusion]
    kept = {
        table: {name: value for name, value in fusion[table].items() if name in given["sources"]}
        for table in by_default
    }
    return {**changed, "fusion": {**fusion, **kept}}


class ServingConfig(Config):
    """The server that ``aisle serve`` starts."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but this machine itself needs keys: `aisle keys add`."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which a server without keys may be asked beside addresses, `localhost` and `host`; other names are
    refused, for a page of another site can let its own name lead to this machine. With keys any name is answered."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that answer; each holds the models in memory. More than the cores there are gains nothing."""
    n_threads: int = Field(default=2, ge=1, le=64)
    """Questions a process answers at the same time."""
    max_waiting: int = Field(default=256, ge=1)
    """Questions that may wait in a process; beyond it they are refused with 503 and a time to try again."""
    max_body_bytes: int = Field(default=8_388_608, ge=1024)
    """Largest body of a request; larger ones are refused with 413."""
    requests_per_second: float = Field(default=0.0, ge=0.0)
    """Limit for each key (each address where there are no keys) and process; 0 is no limit. Beyond it: 429."""
    follow_ms: int = Field(default=200, ge=10, le=10_000)
    """How often a process looks for what others wrote or trained; lower is fresher and costs a little."""
    storefront: bool = True
    """Whether the demonstration shop page is served under ``/``."""
    storefront_needs_key: bool = True
    """False opens the shop page to everybody although the shop has keys; visitors' events are then recorded unasked."""


class Settings(Config):
    """A shop's ``aisle.toml``."""

    shop: ShopConfig = ShopConfig()
    encoder: EncoderConfig = EncoderConfig()
    chat: ChatConfig | None = None
    """The chat model; None: whatever needs one is refused."""
    source: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """One table a source; ``kind`` names the implementation (default: the table's name), the rest is its config."""
    adapt: Mapping[str, Any] = Field(default_factory=dict)
    """How ``aisle adapt`` teaches the encoder this shop; see ``language.adapt_config.AdaptConfig``."""
    compress: Mapping[str, Any] = Field(default_factory=dict)
    """How ``aisle compress`` makes the encoder smaller; see ``language.compress_config.CompressConfig``."""
    finetune: Mapping[str, Any] = Field(default_factory=dict)
    """How ``aisle finetune`` learns labels; see ``language.finetune_config.FinetuneConfig``."""
    pretrain: Mapping[str, Any] = Field(default_factory=dict)
    """How ``aisle pretrain`` learns words; see ``language.pretrain_config.PretrainConfig``."""
    ranker: Mapping[str, Any] = Field(default_factory=dict)
    """``kind`` names the implementation (default: ``boosted_trees``), the rest is its config."""
    understanding: Mapping[str, Any] = Field(default_factory=dict)
    """How queries are read; see ``understanding.reader.UnderstandingConfig``."""
    serving: ServingConfig = ServingConfig()
    placement: Mapping[str, PlacementConfig] = Field(default_factory=dict)
    """Placements; those not named here keep their defaults, and so does what a table leaves out."""

    @model_validator(mode="before")
    @classmethod
    def _with_default_placements(cls, table: Any) -> Any:
        given = table.get("placement", {})
        if not isinstance(given, Mapping):
            return table  # the field's own check says what is wrong with it
        merged: dict[str, Any] = dict(DEFAULT_PLACEMENTS)
        for name, placement in given.items():
            default = DEFAULT_PLACEMENTS.get(name)
            merged[name] = placement if default is None else _of_its_sources(_changed(default, placement), placement)
        return {**table, "placement": merged}

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read and check a TOML file; raises ``ConfigError`` with the line or the setting that is wrong."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigError(f"{path} does not exist; make a shop with `aisle init {path.parent}`") from error
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}); check the permissions") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from error
        try:
            return cls.parse(table, "")
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}", setting=error.setting) from error
