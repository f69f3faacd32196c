"""Query rules: when a rule acts, and what it does. The same record is written to files, sent over HTTP and stored."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from aisle.wire.values import WHOLE, Asked, Body, Id, Kind, Language, Line, MinorUnits, Name, Size, TimeMs, Told

MOST_RULES = 20_000
"""Rules of one version."""
MOST_WORDS = 50
"""Words or phrases of one rule."""
MOST_RULES_BYTES = 16 * 2**20
SEARCH = "search"

Phrase = Annotated[str, Field(min_length=1, max_length=200)]
"""A word or several, as somebody would type them; capitals, accents and endings do not matter."""
Phrases = Annotated[tuple[Phrase, ...], Field(min_length=1, max_length=MOST_WORDS)]
Factor = Annotated[float, Field(gt=1.0, le=1_000.0)]
RuleId = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\s\x00-\x1f\x7f,]+$")]
"""1 to 100 characters without blanks and commas."""


_IN_ADDRESS = r'[^\x00-\x20\x7f"<>\\\[\]]'
Address = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2_000,
        pattern=rf'^(https?://[^\x00-\x20\x7f"<>\\\[\]/?#]{_IN_ADDRESS}*|/|/[^\x00-\x20\x7f"<>\\\[\]/]{_IN_ADDRESS}*)$',
    ),
]
"""``http://...``, ``https://...`` or a path of this site such as ``/sale``; other characters are written as ``%20``."""


class Condition(Asked):
    """When a rule acts; what is left out is no condition."""

    equals: Phrase | None = None
    """The whole query."""
    contains: Phrase | None = None
    """Words of the query, side by side and in this order."""
    category: Line | None = None
    """The question is narrowed to this category path (joined by ` > `) or to one below it."""
    item_kind: Kind | None = None
    """The question is narrowed to this kind of item."""
    placements: Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)] = (SEARCH,)
    """Where the list is shown."""
    language: Language | None = None
    """Language of the question's context."""
    from_ms: TimeMs | None = None
    """From this moment on, UTC milliseconds."""
    until_ms: TimeMs | None = None
    """Until just before this moment."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.equals is not None and self.contains is not None:
            raise ValueError("equals and contains are both given; give one of them")
        if self.from_ms is not None and self.until_ms is not None and self.from_ms >= self.until_ms:
            raise ValueError(f"from_ms {self.from_ms} is not before until_ms {self.until_ms}")
        return self


class Attribute(Asked):
    """An attribute's value, as the item has it."""

    name: Line
    value: Line


class Target(Asked):
    """Items by any of these."""

    item_ids: Annotated[tuple[Id, ...], Field(max_length=1_000)] = ()
    brands: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    categories: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    """Category paths joined by ` > `; what lies below them counts too."""
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _is_some(self) -> Self:
        if not (self.item_ids or self.brands or self.categories or self.attributes):
            raise ValueError("names no items; give item_ids, brands, categories or attributes")
        return self


class Synonyms(Asked):
    """Words that mean the same: each also finds the others."""

    kind: Literal["synonyms"]
    words: Annotated[tuple[Phrase, ...], Field(min_length=2, max_length=MOST_WORDS)]


class OneWay(Asked):
    """A word that also finds others, which do not find it."""

    kind: Literal["one_way"]
    word: Phrase
    finds: Phrases


class StopWords(Asked):
    """Words that are not searched for; a query of nothing else stays as it is."""

    kind: Literal["stop_words"]
    words: Phrases


class Replace(Asked):
    """Another query in the place of the one typed, or of the words that `contains` names."""

    kind: Literal["replace"]
    text: Phrase
    part: Literal["query", "match"] = "query"


class PinnedItem(Asked):
    """An item and its place, from 1."""

    item_id: Id
    position: Size


class Pin(Asked):
    """Items at fixed places, where they may be shown at all."""

    kind: Literal["pin"]
    items: Annotated[tuple[PinnedItem, ...], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _is_clear(self) -> Self:
        named = [f"item {item.item_id!r}" for item in self.items] + [f"position {item.position}" for item in self.items]
        twice = next((one for one in named if named.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} is pinned twice")
        return self


class Boost(Asked):
    """Items that come earlier: their utility is multiplied by `factor`."""

    kind: Literal["boost"]
    target: Target
    factor: Factor


class Bury(Asked):
    """Items that come later: their utility is divided by `factor`."""

    kind: Literal["bury"]
    target: Target
    factor: Factor


class Hide(Asked):
    """Items that are not shown."""

    kind: Literal["hide"]
    target: Target


class Redirect(Asked):
    """An address to lead to; the list is answered as well."""

    kind: Literal["redirect"]
    url: Address


class Narrow(Asked):
    """Limits that count where the question sets none of the same sort itself."""

    kind: Literal["filter"]
    categories: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    brands: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    min_price_minor: MinorUnits | None = None
    max_price_minor: MinorUnits | None = None

    @model_validator(mode="after")
    def _is_some(self) -> Self:
        low, high = self.min_price_minor, self.max_price_minor
        if not (self.categories or self.brands) and low is None and high is None:
            raise ValueError("limits nothing; give categories, brands, min_price_minor or max_price_minor")
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_price_minor {low} is above max_price_minor {high}")
        return self


Action = Annotated[
    Synonyms | OneWay | StopWords | Replace | Pin | Boost | Bury | Hide | Redirect | Narrow,
    Field(discriminator="kind"),
]
ANY_QUERY = Condition()


class QueryRule(Asked):
    """One rule: its id, when it acts, what it does, and a word on why."""

    id: RuleId
    when: Condition = ANY_QUERY
    action: Action
    note: Line = ""
    """Why it is there, for people."""


class RulesDraft(Body):
    """All rules of the draft, in order; where two of one kind contradict each other the earlier counts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rules": [
                        {"id": "sofa", "action": {"kind": "synonyms", "words": ["sofa", "couch"]}},
                        {
                            "id": "tea-week",
                            "when": {"contains": "tea"},
                            "action": {"kind": "pin", "items": [{"item_id": "green-tea", "position": 1}]},
                        },
                    ]
                }
            ]
        }
    )
    most_bytes: ClassVar[int] = MOST_RULES_BYTES

    rules: Annotated[tuple[QueryRule, ...], Field(max_length=MOST_RULES)]
    replaces: Annotated[str, Field(max_length=100)] | None = None
    """`digest` of the draft that was read; where another is there meanwhile, nothing is changed (409)."""


class PublishAsk(Body):
    """What to say of a version."""

    note: Line = ""


class RollbackAsk(Body):
    """Which version to go back to; the one published before the current one when left out."""

    version: Annotated[int, Field(ge=0), WHOLE] | None = None


class TryAsk(Body):
    """A query to try the draft with."""

    query: Annotated[str, Field(max_length=500)]
    language: Language | None = None
    size: Size | None = None
    categories: Annotated[tuple[Line, ...], Field(max_length=100)] = ()


class RuleFinding(Told):
    """Something about the rules: a `problem` keeps them from being published, an `advice` does not."""

    level: Literal["problem", "advice"]
    rule: str
    """Id of the rule."""
    what: str


class Rules(Told):
    """Rules in order, what is to be said of them, and the version published now (0: none)."""

    rules: tuple[QueryRule, ...]
    digest: str
    """Names these rules, to be sent back with a new draft."""
    findings: tuple[RuleFinding, ...]
    published: int
    is_published: bool
    """Whether the draft is what is published."""


class RulesVersion(Told):
    """A published version; `restores` is the version whose rules it brought back."""

    version: int
    n_rules: int
    published_ms: int
    published_by: str
    note: str
    restores: int | None


class RulesVersions(Told):
    """Versions, newest first; the first is the one that counts."""

    versions: tuple[RulesVersion, ...]


class RulesOfVersion(Told):
    """The rules of one version, in order."""

    version: int
    rules: tuple[QueryRule, ...]


class ProposalsQuery(Asked):
    """Which proposals."""

    status: Literal["proposed", "accepted", "rejected"] = "proposed"


class TriedList(Told):
    """A list made with one set of rules."""

    item_ids: tuple[str, ...]
    rules: tuple[str, ...]
    """Ids of the rules that acted."""
    searched: str
    redirect: str | None


class Move(Told):
    """Where an item stood and where it stands with the draft, from 1; null: not in the list."""

    item_id: str
    before: int | None
    after: int | None


class Trial(Told):
    """The list of a query as it is and with the draft, and what moves."""

    published: TriedList
    draft: TriedList
    moves: tuple[Move, ...]


class RuleProposal(Told):
    """A rule that clicks speak for, until somebody accepts or rejects it."""

    proposal_id: str
    rule: QueryRule
    evidence: str
    status: Literal["proposed", "accepted", "rejected"]
    proposed_ms: int
    decided_ms: int | None
    decided_by: str


class RuleProposals(Told):
    """Proposals, strongest first."""

    proposals: tuple[RuleProposal, ...]


class DecisionAsk(Body):
    """What somebody thinks of a proposal; an accepted one goes into the draft."""

    accept: bool
