"""Reasons as sentences, in English and Chinese. ``{title}``, ``{category}`` and ``{brand}`` are filled in."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "zh")

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "viewed_together": "People who viewed {title} also viewed this",
        "like_yours": "People with a taste like yours choose this",
        "goes_with": "Goes with {title}",
        "bought_together": "Often bought together with {title}",
        "like_item": "Like {title}",
        "meaning": "Fits what you are looking for",
        "words": "Matches the words you typed",
        "popular": "Often bought lately",
        "trending": "In demand right now",
        "new": "New in the shop",
        "viewed": "You looked at it before",
        "buy_again": "You may need it again",
        "source": "Found by {source}",
        "category": "You often look at {category}",
        "category_now": "You are looking at {category} just now",
        "brand": "You like {brand}",
        "price": "In your usual price range",
        "rated": "Rated well",
        "bought": "You have bought it before",
        "placed": "Placed here by the shop",
        "chance": "Shown by chance so that we learn",
    },
    "zh": {
        "viewed_together": "看过{title}的人也看了它",
        "like_yours": "与您喜好相近的人选择了它",
        "goes_with": "与{title}搭配",
        "bought_together": "常与{title}一起购买",
        "like_item": "与{title}相似",
        "meaning": "符合您要找的东西",
        "words": "与您输入的词相符",
        "popular": "最近常有人购买",
        "trending": "当下热门",
        "new": "新品上架",
        "viewed": "您之前看过",
        "buy_again": "您可能又需要它了",
        "source": "由{source}找到",
        "category": "您常看{category}",
        "category_now": "您正在看{category}",
        "brand": "您喜欢{brand}",
        "price": "在您常买的价位",
        "rated": "评分高",
        "bought": "您之前买过",
        "placed": "由商店安排在此",
        "chance": "随机展示，以便我们学习",
    },
}


def words_for(language: str | None) -> tuple[str, Mapping[str, str]]:
    """The language that is spoken for a wish such as ``zh-CN``, English for what we do not speak, and its sentences."""
    wanted = (language or "en").split("-")[0].lower()
    spoken = wanted if wanted in WORDS else "en"
    return spoken, WORDS[spoken]
