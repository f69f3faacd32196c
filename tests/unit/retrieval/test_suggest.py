from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aisle.domain import Item, ItemTable, ItemText
from aisle.retrieval import suggest as module
from aisle.retrieval.suggest import Suggestion, Suggestions
from aisle.testing import TinyShop


def _texts(suggestions: Suggestions, prefix: str, n: int = 10, language: str | None = None) -> list[str]:
    return [suggestion.text for suggestion in suggestions.complete(prefix, n, language)]


def test_popular_comes_first_and_queries_before_titles(shop: TinyShop) -> None:
    suggestions = Suggestions.fit(shop.snapshot, {"green tea": 9, "green boots": 1})

    found = _texts(suggestions, "gre")

    assert found[:2] == ["green tea", "green boots"]
    assert any("Longjing green tea" in text for text in found)


def test_a_prefix_of_a_later_word_counts_in_both_languages(shop: TinyShop) -> None:
    suggestions = Suggestions.fit(shop.snapshot, {})

    assert any("Longjing" in text for text in _texts(suggestions, "longj"))
    assert any("龙井" in text for text in _texts(suggestions, "龙"))


def test_a_blank_at_the_end_ends_the_word() -> None:
    suggestions = Suggestions([Suggestion("tea pot", "query", 1.0), Suggestion("teak table", "query", 2.0)])

    assert _texts(suggestions, "tea") == ["teak table", "tea pot"]
    assert _texts(suggestions, "tea ") == ["tea pot"]
    assert _texts(suggestions, "  TEA  p") == ["tea pot"]


def test_only_the_language_asked_for() -> None:
    suggestions = Suggestions(
        [
            Suggestion("abc lamp", "title", 1.0, "en"),
            Suggestion("abc 台灯", "title", 2.0, "zh"),
            Suggestion("abc", "query", 0.5),
        ]
    )

    assert _texts(suggestions, "abc", language="en") == ["abc lamp", "abc"]


def test_new_items_and_queries_are_suggested_at_once(shop: TinyShop) -> None:
    suggestions = Suggestions.fit(shop.snapshot, {"canoe": 1})
    before = suggestions.complete("canoe")[0]

    suggestions.extend(
        ItemTable.from_rows([Item("canoe", (ItemText("en", "Canoe of birch"),))]), {"canoe": 50, "canoe paddle": 3}
    )

    found = suggestions.complete("canoe")
    assert [suggestion.text for suggestion in found] == ["canoe", "canoe paddle", "Canoe of birch"]
    assert found[0].weight > before.weight


_ENTRIES = st.lists(
    st.builds(
        Suggestion,
        st.text(alphabet="ab 龙井", min_size=1, max_size=8).filter(str.strip),
        st.just("query"),
        st.integers(0, 5).map(float),
    ),
    max_size=40,
)


@given(_ENTRIES, st.text(alphabet="ab龙", max_size=3), st.integers(1, 5))
def test_the_answer_is_that_of_looking_at_everything(entries: list[Suggestion], prefix: str, n: int) -> None:
    blocks, module._BLOCK = module._BLOCK, 4
    folds, module._FOLD_AT = module._FOLD_AT, 7
    try:
        suggestions = Suggestions(entries[:20])
        suggestions._put(entries[20:])
        kept = {module._folded(entry.text): entry for entry in entries}
        matching = [entry for text, entry in kept.items() if any(key.startswith(prefix) for key in module._keys(text))]
        if prefix:
            expected = sorted(matching, key=module._order)[:n]
            assert suggestions.complete(prefix, n) == expected
    finally:
        module._BLOCK, module._FOLD_AT = blocks, folds
