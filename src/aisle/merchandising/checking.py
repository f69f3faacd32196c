"""What is wrong with rules, before anybody sees them: contradictions, unknown names, rules that can never act.

Enters: rules in order, and what the shop knows. Leaves: findings; a problem keeps rules from being published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from aisle.domain import NO_VALUE, Catalogue
from aisle.errors import unknown_name
from aisle.merchandising.compiled import MOST_ACTING, CompiledRules, triggers_of
from aisle.merchandising.phrases import LONGEST_PHRASE, phrase_of
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
    RuleFinding,
    StopWords,
    Synonyms,
    Target,
)

MOST_FINDINGS = 1_000
"""Of more only these are told."""
_ASKED_AS = frozenset({"q", "query", "search", "s", "text", "term", "k", "keyword", "keywords"})
"""Parameters of an address that hold what is searched for."""


@dataclass(frozen=True)
class Known:
    """What rules may name."""

    catalogue: Catalogue
    placements: Collection[str]
    now_ms: int


def check_rules(rules: Sequence[QueryRule], known: Known) -> list[RuleFinding]:
    """Findings, problems first, at most ``MOST_FINDINGS``. Cost: about 50 microseconds a rule."""
    found: list[RuleFinding] = []
    for finding in _findings(rules, known):
        found.append(finding)
        if len(found) == MOST_FINDINGS:
            break
    return sorted(found, key=lambda finding: finding.level == "advice")


def _findings(rules: Sequence[QueryRule], known: Known) -> Iterator[RuleFinding]:
    for rule_id, n in Counter(rule.id for rule in rules).items():
        if n > 1:
            yield _problem(rule_id, f"{n} rules have the id {rule_id!r}; an id is given once")
    stop_words = {
        phrase_of(word): rule.id for rule in rules if isinstance(rule.action, StopWords) for word in rule.action.words
    }
    for rule in rules:
        yield from _of_words(rule, stop_words)
        yield from _of_situation(rule, known)
        yield from _of_action(rule, known.catalogue)
    compiled = CompiledRules(rules)
    yield from _crowds(compiled)
    yield from _contradictions(compiled)
    yield from _circles(compiled)


def _problem(rule: str, what: str) -> RuleFinding:
    return RuleFinding(level="problem", rule=rule, what=what)


def _advice(rule: str, what: str) -> RuleFinding:
    return RuleFinding(level="advice", rule=rule, what=what)


def _of_words(rule: QueryRule, stop_words: dict[tuple[str, ...], str]) -> Iterator[RuleFinding]:
    """Phrases without words, too long ones, and those that say the same."""
    when = rule.when
    for what, text in (("equals", when.equals), ("contains", when.contains)):
        if text is not None:
            yield from _of_phrase(rule.id, what, text)
    for text in triggers_of(rule):
        yield from _of_phrase(rule.id, rule.action.kind, text)
    match rule.action:
        case Synonyms(words=words):
            yield from _of_meanings(rule.id, words, stop_words)
        case OneWay(word=word, finds=finds):
            for text in finds:
                yield from _of_phrase(rule.id, "finds", text)
            yield from _of_meanings(rule.id, (word, *finds), stop_words)
        case Replace(text=text, part=part):
            yield from _of_phrase(rule.id, "text", text)
            condition = when.equals or when.contains
            if condition is None:
                yield _problem(rule.id, "it would replace every query; say which with equals or contains")
            elif part == "match" and when.contains is None:
                yield _problem(rule.id, "part = match replaces the words that contains names; give contains")
            elif phrase_of(condition) == phrase_of(text):
                yield _advice(rule.id, f"it replaces {condition!r} by the same words")
        case _:
            pass


def _of_phrase(rule_id: str, what: str, text: str) -> Iterator[RuleFinding]:
    phrase = phrase_of(text)
    if not phrase:
        yield _problem(rule_id, f"{what}: {text!r} holds no word; letters or digits are needed")
    elif len(phrase) > LONGEST_PHRASE:
        yield _problem(
            rule_id, f"{what}: {text[:40]!r}... has {len(phrase)} words; at most {LONGEST_PHRASE} are allowed"
        )


def _of_meanings(rule_id: str, words: Sequence[str], stop_words: dict[tuple[str, ...], str]) -> Iterator[RuleFinding]:
    phrases: dict[tuple[str, ...], str] = {}
    for word in words:
        phrase = phrase_of(word)
        if phrase in phrases:
            yield _advice(rule_id, f"{phrases[phrase]!r} and {word!r} are the same here; one is enough")
        elif phrase in stop_words:
            yield _advice(rule_id, f"{word!r} is a stop word by rule {stop_words[phrase]!r} and is not searched for")
        phrases.setdefault(phrase, word)
    if len(phrases) < 2:
        yield _problem(rule_id, "its words are all the same here; synonyms need two different ones")


def _of_situation(rule: QueryRule, known: Known) -> Iterator[RuleFinding]:
    when = rule.when
    for name in when.placements:
        if name not in known.placements:
            yield _problem(rule.id, unknown_name("placement", name, known.placements))
    if when.category is not None and known.catalogue.categories.find(when.category) == NO_VALUE:
        yield _advice(rule.id, f"no item has the category {when.category!r} of its condition; it never acts")
    if when.until_ms is not None and when.until_ms <= known.now_ms:
        yield _advice(rule.id, "its time is over; it acts no more")


def _of_action(rule: QueryRule, catalogue: Catalogue) -> Iterator[RuleFinding]:
    """Names that nothing in the shop has."""
    match rule.action:
        case Pin(items=items):
            for item in items:
                if catalogue.row(item.item_id) == NO_VALUE:
                    yield _problem(rule.id, f"there is no item {item.item_id!r} to pin")
        case Boost(target=target) | Bury(target=target) | Hide(target=target):
            yield from _of_target(rule.id, target, catalogue)
        case Narrow(categories=categories, brands=brands):
            yield from _of_names(rule.id, categories, brands, catalogue)
        case _:
            pass


def _of_target(rule_id: str, target: Target, catalogue: Catalogue) -> Iterator[RuleFinding]:
    for item_id in target.item_ids:
        if catalogue.row(item_id) == NO_VALUE:
            yield _problem(rule_id, f"there is no item {item_id!r}")
    yield from _of_names(rule_id, target.categories, target.brands, catalogue)


def _of_names(
    rule_id: str, categories: Sequence[str], brands: Sequence[str], catalogue: Catalogue
) -> Iterator[RuleFinding]:
    for what, names, values in (("category", catalogue.categories, categories), ("brand", catalogue.brands, brands)):
        for value in values:
            if names.find(value) == NO_VALUE:
                yield _advice(rule_id, f"no item has the {what} {value!r}; it changes nothing until one has")


def _crowds(compiled: CompiledRules) -> Iterator[RuleFinding]:
    """Conditions that more rules share than can act."""
    crowds = Counter(key for rule in compiled.rules if (key := _words_of(rule.when)) is not None)
    crowds[(False, ())] = len(compiled.on_any_query)
    told: set[tuple[bool, tuple[str, ...]]] = set()
    for rule in compiled.rules:
        key = _words_of(rule.when) or (False, ())
        if crowds[key] > MOST_ACTING and key not in told:
            told.add(key)
            on = f"for {' '.join(key[1])!r}" if key[1] else "for any query"
            yield _problem(rule.id, f"{crowds[key]} rules stand {on}; at most {MOST_ACTING} act on one query")


def _words_of(when: Condition) -> tuple[bool, tuple[str, ...]] | None:
    """Whether the whole query is meant, and its words; None where none are asked for."""
    text = when.equals if when.equals is not None else when.contains
    return None if text is None else (when.equals is not None, phrase_of(text))


def _contradictions(compiled: CompiledRules) -> Iterator[RuleFinding]:
    """Rules that want different things of one query; those with the same words are a problem."""
    told: set[tuple[int, int, str]] = set()
    texts = {key: rule.when.equals or rule.when.contains for rule in compiled.rules if (key := _words_of(rule.when))}
    for text in ["", *texts.values()]:
        claims: dict[object, int] = {}
        for number in compiled.naming(text or "")[: 2 * MOST_ACTING]:
            for claim, what in _claims(compiled.rules[number]):
                first = claims.setdefault(claim, number)
                if first == number or (first, number, what) in told:
                    continue
                one, other = compiled.rules[first], compiled.rules[number]
                if not _meet(one.when, other.when):
                    continue
                told.add((first, number, what))
                on = f"for {text!r}" if text else "for any query"
                if _words_of(one.when) == _words_of(other.when):
                    yield _problem(other.id, f"it {what} {on}, and so does rule {one.id!r}; keep one of them")
                else:
                    yield _advice(other.id, f"it {what} {on}, and so does rule {one.id!r}, which goes first")
    yield from _pinned_and_hidden(compiled)


def _claims(rule: QueryRule) -> Iterator[tuple[object, str]]:
    """What a rule takes for itself that only one can have."""
    match rule.action:
        case Pin(items=items):
            for item in items:
                yield ("slot", item.position), f"pins position {item.position}"
                yield ("item", item.item_id), f"pins item {item.item_id!r}"
        case Redirect():
            yield "redirect", "redirects"
        case Replace():
            yield "replace", "replaces the query"
        case _:
            pass


def _pinned_and_hidden(compiled: CompiledRules) -> Iterator[RuleFinding]:
    hidden: dict[tuple[object, str], QueryRule] = {}
    for rule in compiled.rules:
        if isinstance(rule.action, Hide):
            for item_id in rule.action.target.item_ids:
                hidden.setdefault((_words_of(rule.when), item_id), rule)
    for rule in compiled.rules:
        if isinstance(rule.action, Pin):
            for item in rule.action.items:
                hiding = hidden.get((_words_of(rule.when), item.item_id))
                if hiding is not None and _meet(rule.when, hiding.when):
                    yield _problem(rule.id, f"it pins item {item.item_id!r}, which rule {hiding.id!r} hides")


def _meet(one: Condition, other: Condition) -> bool:
    """Whether both conditions can hold at once, their words aside."""
    if not set(one.placements) & set(other.placements):
        return False
    for first, second in ((one.language, other.language), (one.item_kind, other.item_kind)):
        if first is not None and second is not None and first != second:
            return False
    for first, second in ((one, other), (other, one)):
        if first.until_ms is not None and second.from_ms is not None and first.until_ms <= second.from_ms:
            return False
    paths = one.category, other.category
    return None in paths or any(f"{a} > ".startswith(f"{b} > ") for a, b in (paths, paths[::-1]))


def _circles(compiled: CompiledRules) -> Iterator[RuleFinding]:
    """Redirects to an address that asks for something that is redirected back."""
    following: dict[int, int] = {}
    for number, rule in enumerate(compiled.rules):
        if isinstance(rule.action, Redirect):
            for name, asked in parse_qsl(urlsplit(rule.action.url).query):
                if name.lower() not in _ASKED_AS:
                    continue
                back = next((n for n in compiled.naming(asked) if isinstance(compiled.rules[n].action, Redirect)), None)
                if back is not None:
                    following[number] = back
                    break
    for start in following:
        passed, at = {start}, following[start]
        while at in following and at not in passed:
            passed.add(at)
            at = following[at]
        if at == start:
            yield _problem(compiled.rules[start].id, "its address asks for a query that is redirected back to itself")
