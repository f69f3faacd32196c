"""Made-up product texts, English and Chinese, from a seed."""

from __future__ import annotations

import numpy as np

COLOURS = ["红色", "绿色", "蓝色", "白色", "黑色"]
THINGS = {"登山鞋": "防水", "电水壶": "不锈钢", "龙井茶": "清香", "雨伞": "折叠", "毛巾": "纯棉", "台灯": "护眼"}
ENGLISH = {
    "hiking boots": "waterproof", "kettle": "electric", "green tea": "fragrant", "umbrella": "folding",
    "towel": "cotton", "lamp": "dimmable",
}  # fmt: skip


def chinese(n: int, seed: int = 0) -> list[str]:
    """Sentences in which a thing always goes with its own property, and colours with anything."""
    rng = np.random.default_rng(seed)
    things = list(THINGS)
    found = []
    for _ in range(n):
        thing = things[rng.integers(len(things))]
        one, other = rng.choice(COLOURS, size=2, replace=False)
        found.append(f"这款{THINGS[thing]}的{thing}有{one}和{other}可选，{thing}很{THINGS[thing]}")
    return found


def english(n: int, seed: int = 0) -> list[str]:
    """The same in English, with a size."""
    rng = np.random.default_rng(seed)
    things = list(ENGLISH)
    found = []
    for _ in range(n):
        thing = things[rng.integers(len(things))]
        found.append(f"{ENGLISH[thing].title()} {thing} for the kitchen or outdoors, size {rng.integers(100)}")
    return found
