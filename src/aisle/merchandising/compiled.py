"""A version of the rules made ready for questions: which rules act on a query, and what they make of it.

Enters: rules in order, and a query in its situation. Leaves: a ``Ruling``. Knows no items: targets stay as they are
written. What a query costs does not grow with the number of rules, only with those that act.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aisle.domain.requests import Synonym
from aisle.merchandising.phrases import Phrases, Token, phrase_of, tokens
from aisle.wire.rules import (
    Boost,
    Bury,
    Condition,
    Hide,
    Narrow,
    OneWay,
    Pin,
    QueryRule,
    Redirect,
    Replace,
    StopWords,
    Synonyms,
    Target,
)

MOST_ACTING = 100
"""Rules that act on one query."""
MOST_MEANT = 100
"""Phrases that synonyms add to one query."""
_EQUALS, _CONTAINS, _ANY = range(3)

Rank = tuple[int, int, int]
"""What comes first: the whole query before words of it, more words before fewer, then the order of the rules."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Where and when a question is asked; ``categories`` and ``kinds`` are those it is narrowed to."""

    placement: str
    now_ms: int
    language: str | None = None
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placing:
    """An item to stand at ``position``, from 1."""

    item_id: str
    position: int
    rule_id: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules make of a query. ``text`` is searched for in place of what was typed, None: what was typed."""

    rule_ids: tuple[str, ...] = ()
    text: str | None = None
    synonyms: tuple[Synonym, ...] = ()
    redirect: str | None = None
    placings: tuple[Placing, ...] = ()
    weights: tuple[tuple[Target, float], ...] = ()
    weighing: tuple[str, ...] = ()
    hidden: tuple[Target, ...] = ()
    limits: tuple[Narrow, ...] = ()


NO_RULING = Ruling()


class CompiledRules:
    """Rules of one version; never changed. ``version`` is 0 for rules that were not published.

    A rule without words that nothing can match (they are empty) never acts; ``check_rules`` tells of it.
    """

    def __init__(self, rules: Iterable[QueryRule], version: int = 0) -> None:
        self.rules = tuple(rules)
        self.version = version
        self._equals: dict[tuple[str, ...], list[int]] = {}
        self._contains: Phrases[int] = Phrases()
        self._triggers: Phrases[tuple[int, str]] = Phrases()
        self._always: list[int] = []
        for number, rule in enumerate(self.rules):
            self._put(number, rule)

    def __len__(self) -> int:
        return len(self.rules)

    def rule_on(self, text: str | None, situation: Situation) -> Ruling:
        """What the rules make of a query; ``text`` None where the list answers no query."""
        if not self.rules:
            return NO_RULING
        normal, typed = tokens(text or "")
        matched = self._matching(typed, situation)
        replaced = self._replaced(matched, normal, typed)
        acted: list[int] = []
        now = normal
        if replaced is not None:
            number, now = replaced
            acted.append(number)
            now, typed = tokens(now)
            matched = _merged(matched, self._matching(typed, situation))
        triggered = self._triggered(typed, matched, situation)
        stopping, shorter = _without_stop_words(now, typed, triggered, self.rules)
        if stopping:
            acted += stopping
            now, typed = tokens(shorter)
            triggered = self._triggered(typed, matched, situation)
        meant = _synonyms(triggered, self.rules)
        acted += meant
        return self._ruling(matched, acted, None if now == normal else now, tuple(meant.values()))

    def naming(self, text: str) -> list[int]:
        """Numbers of the rules whose conditions the words of ``text`` meet, in any situation, first what goes first."""
        _, of_tokens = tokens(text)
        return _ranked(self._matching(of_tokens, None))

    @property
    def on_any_query(self) -> Sequence[int]:
        """Numbers of the rules that ask for no words."""
        return self._always

    def _put(self, number: int, rule: QueryRule) -> None:
        when = rule.when
        if when.equals is not None:
            phrase = phrase_of(when.equals)
            if phrase:
                self._equals.setdefault(phrase, []).append(number)
        elif when.contains is not None:
            phrase = phrase_of(when.contains)
            if phrase:
                self._contains.put(phrase, number)
        elif not triggers_of(rule):
            self._always.append(number)
        for written in triggers_of(rule):
            phrase = phrase_of(written)
            if phrase:
                self._triggers.put(phrase, (number, written))

    def _matching(self, of_tokens: Sequence[Token], situation: Situation | None) -> dict[int, Rank]:
        """Rules whose words and situation (None: any) hold, by rank; those that ask for no words come last."""
        whole = tuple(token.word for token in of_tokens)
        found: dict[int, Rank] = {}
        for number in self._equals.get(whole, ()) if whole else ():
            if holds(self.rules[number].when, situation):
                found[number] = (_EQUALS, 0, number)
        for one in self._contains.find(of_tokens):
            if one.value not in found and holds(self.rules[one.value].when, situation):
                found[one.value] = (_CONTAINS, one.first - one.stop, one.value)
        for number in self._always:
            if holds(self.rules[number].when, situation):
                found[number] = (_ANY, 0, number)
        return found

    def _replaced(self, matched: dict[int, Rank], text: str, of_tokens: Sequence[Token]) -> tuple[int, str] | None:
        """The first rule that replaces the query, and what it makes of it."""
        for number in _ranked(matched):
            rule = self.rules[number]
            action = rule.action
            if not isinstance(action, Replace):
                continue
            if action.part == "query" or rule.when.contains is None:
                return number, action.text
            return number, _with(text, of_tokens, phrase_of(rule.when.contains), action.text)
        return None

    def _triggered(
        self, of_tokens: Sequence[Token], matched: dict[int, Rank], situation: Situation
    ) -> list[tuple[int, str, int, int]]:
        """Rules whose own words stand in the query: number, the words, and where."""
        found: list[tuple[int, str, int, int]] = []
        for one in self._triggers.find(of_tokens):
            number, written = one.value
            when = self.rules[number].when
            has_words = when.equals is not None or when.contains is not None
            if number in matched if has_words else holds(when, situation):
                found.append((number, written, one.first, one.stop))
        return found

    def _ruling(
        self, matched: dict[int, Rank], acted: Sequence[int], text: str | None, synonyms: tuple[Synonym, ...]
    ) -> Ruling:
        rule_ids = [self.rules[number].id for number in acted]
        redirect: str | None = None
        placings: list[Placing] = []
        weights: list[tuple[Target, float]] = []
        weighing: list[str] = []
        hidden: list[Target] = []
        limits: list[Narrow] = []
        for number in _ranked(matched)[:MOST_ACTING]:
            rule = self.rules[number]
            match rule.action:
                case Redirect() if redirect is None:
                    redirect = rule.action.url
                case Pin():
                    placings += [Placing(item.item_id, item.position, rule.id) for item in rule.action.items]
                case Boost():
                    weights.append((rule.action.target, rule.action.factor))
                    weighing.append(rule.id)
                case Bury():
                    weights.append((rule.action.target, 1.0 / rule.action.factor))
                    weighing.append(rule.id)
                case Hide():
                    hidden.append(rule.action.target)
                case Narrow():
                    limits.append(rule.action)
                case _:
                    continue
            rule_ids.append(rule.id)
        return Ruling(
            tuple(dict.fromkeys(rule_ids)),
            text,
            synonyms,
            redirect,
            tuple(placings),
            tuple(weights),
            tuple(weighing),
            tuple(hidden),
            tuple(limits),
        )


NO_RULES = CompiledRules(())


def triggers_of(rule: QueryRule) -> tuple[str, ...]:
    """Words of the action itself that must stand in the query for it to act."""
    match rule.action:
        case Synonyms() | StopWords():
            return rule.action.words
        case OneWay():
            return (rule.action.word,)
        case _:
            return ()


def holds(when: Condition, situation: Situation | None) -> bool:
    """Whether everything but the words of a condition holds; always, where no situation is given."""
    if situation is None:
        return True
    if situation.placement not in when.placements:
        return False
    if when.language is not None and when.language != situation.language:
        return False
    if when.from_ms is not None and situation.now_ms < when.from_ms:
        return False
    if when.until_ms is not None and situation.now_ms >= when.until_ms:
        return False
    if when.item_kind is not None and situation.kinds != (when.item_kind,):
        return False
    path = when.category
    return path is None or any(one == path or one.startswith(f"{path} > ") for one in situation.categories)


def _ranked(matched: dict[int, Rank]) -> list[int]:
    return sorted(matched, key=matched.__getitem__)


def _merged(first: dict[int, Rank], second: dict[int, Rank]) -> dict[int, Rank]:
    return {number: min(rank, first.get(number, rank)) for number, rank in {**first, **second}.items()}


def _with(text: str, of_tokens: Sequence[Token], phrase: Sequence[str], by: str) -> str:
    """``text`` with ``by`` wherever ``phrase`` stands."""
    pieces: list[str] = []
    place = end = 0
    while place < len(of_tokens):
        stop = place + len(phrase)
        if [token.word for token in of_tokens[place:stop]] == list(phrase):
            pieces += [text[end : of_tokens[place].start], by]
            end, place = of_tokens[stop - 1].stop, stop
        else:
            place += 1
    return " ".join(" ".join([*pieces, text[end:]]).split())


def _without_stop_words(
    text: str,
    of_tokens: Sequence[Token],
    triggered: Sequence[tuple[int, str, int, int]],
    rules: Sequence[QueryRule],
) -> tuple[list[int], str]:
    """Rules that drop words, and the text without them; none where nothing would be left."""
    dropped: set[int] = set()
    acting: list[int] = []
    for number, _, first, stop in triggered:
        if isinstance(rules[number].action, StopWords):
            dropped.update(range(first, stop))
            acting.append(number)
    if not acting or len(dropped) == len(of_tokens):
        return [], text
    kept_starts = {token.start for place, token in enumerate(of_tokens) if place not in dropped}
    pieces: list[str] = []
    end = 0
    for place in sorted(dropped):
        token = of_tokens[place]
        if token.start not in kept_starts and token.start >= end:  # of "cheap/red" nothing goes
            pieces.append(text[end : token.start])
            end = token.stop
    shorter = " ".join("".join([*pieces, text[end:]]).split())
    return (list(dict.fromkeys(acting)), shorter) if pieces else ([], text)


def _synonyms(triggered: Sequence[tuple[int, str, int, int]], rules: Sequence[QueryRule]) -> dict[int, Synonym]:
    """What the words of the query mean besides, by rule; at most ``MOST_MEANT`` phrases in all."""
    found: dict[int, Synonym] = {}
    n_left = MOST_MEANT
    for number, written, _, _ in triggered:
        match rules[number].action:
            case Synonyms(words=words):
                meant = tuple(word for word in words if word != written)
            case OneWay(finds=finds):
                meant = finds
            case _:
                continue
        if n_left <= 0:
            break
        if number not in found:
            found[number] = Synonym(written, meant[:n_left])
            n_left -= len(meant)
    return found
