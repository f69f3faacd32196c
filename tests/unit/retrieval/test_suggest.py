from __future__ import annotations

import pytest
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


def _of_texts(*texts: str) -> Suggestions:
    return Suggestions([Suggestion(text, "title", 1.0) for text in texts])


def test_chinese_is_found_by_pinyin_and_by_first_letters() -> None:
    suggestions = _of_texts("红色连衣裙", "连衣裙 nike 夏季", "羽绒服", "重庆火锅", "running shoes")

    for typed in ("lian", "lianyiq", "lian yi qun", "LianYi", "lyq"):
        assert set(_texts(suggestions, typed)) == {"红色连衣裙", "连衣裙 nike 夏季"}, typed
    assert _texts(suggestions, "hongse l") == ["红色连衣裙"]
    assert _texts(suggestions, "chongqing") == ["重庆火锅"], (
        "as the word sounds, not as its first character mostly does"
    )
    assert _texts(suggestions, "lianyiqunnike") == ["连衣裙 nike 夏季"]
    assert _texts(suggestions, "y") == [], "one letter says too little"


def test_what_is_written_as_typed_comes_before_what_only_sounds_so() -> None:
    suggestions = Suggestions([Suggestion("连衣裙", "title", 9.0, "zh"), Suggestion("Lian tea", "title", 1.0, "en")])

    assert _texts(suggestions, "lian") == ["Lian tea", "连衣裙"]
    assert _texts(suggestions, "lian", n=1) == ["Lian tea"]
    assert _texts(suggestions, "lian", language="en") == ["Lian tea"]


def test_new_texts_are_found_by_their_pinyin_at_once_and_after_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FOLD_AT", 2)
    suggestions = _of_texts("羽绒服")

    for number, title in enumerate(("连衣裙", "红茶", "绿茶")):
        text = ItemText(language="zh", title=title)
        suggestions.extend(ItemTable.from_rows([Item(item_id=str(number), texts=(text,))]))

        assert title in _texts(suggestions, {"连衣裙": "lianyi", "红茶": "hongc", "绿茶": "lvcha"}[title])
