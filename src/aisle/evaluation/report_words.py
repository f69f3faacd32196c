"""The words of reports in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "protocol": "Protocol",
        "cases": "Cases asked",
        "items": "Items ranked",
        "interactions": "Interactions to learn from",
        "intervals": "Intervals",
        "seed": "Seed",
        "unknown": "not known",
        "notes": "Notes",
        "system": "System",
        "baseline": "baseline",
        "results": "Results",
        "results_about": "Means over cases with {level} intervals. Bold is the best of a column.",
        "plots": "At a glance",
        "metrics_plot": "Means and {level} intervals",
        "differences": "Difference from {baseline}",
        "differences_about": (
            "The same cases are drawn for both systems. Coloured where the {level} interval leaves out zero."
        ),
        "by_cutoff": "By length of list",
        "trade_off": "Accuracy against share of the shop shown",
        "groups": "By group",
        "groups_about": (
            "Groups of users: figures of their cases. Groups of items: only targets of the group count, and exposure "
            "is the share of all places that items of the group get."
        ),
        "group": "Group",
        "exposure": "Exposure",
        "lists": "What the lists are like",
        "answered": "Cases with a list",
        "seconds": "Seconds",
        "read": "How to read this",
        "method": "{level} {method} bootstrap over cases, {n} draws",
    },
    "zh": {
        "protocol": "评测协议",
        "cases": "评测样本数",
        "items": "参与排序的商品数",
        "interactions": "可用于学习的交互数",
        "intervals": "置信区间",
        "seed": "随机种子",
        "unknown": "未知",
        "notes": "说明",
        "system": "系统",
        "baseline": "基线",
        "results": "结果",
        "results_about": "按样本平均，附 {level} 置信区间。每列最优者加粗。",
        "plots": "图示",
        "metrics_plot": "均值与 {level} 置信区间",
        "differences": "与 {baseline} 之差",
        "differences_about": "两个系统抽取相同的样本。{level} 置信区间不含零者着色。",
        "by_cutoff": "随列表长度的变化",
        "trade_off": "准确度与商品覆盖率",
        "groups": "分组结果",
        "groups_about": "用户组：该组样本的指标。商品组：只计入该组的目标商品；曝光为该组商品所占位置的比例。",
        "group": "组",
        "exposure": "曝光",
        "lists": "列表特征",
        "answered": "有结果的样本数",
        "seconds": "秒",
        "read": "如何阅读",
        "method": "{level} {method} 自助法，按样本重抽 {n} 次",
    },
}
"""Headings and sentences by language; ``{...}`` are filled in by the page."""

MEANINGS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "recall": "share of the right items among the first k",
        "ndcg": "right items count more the higher they stand; 1 is the best possible order",
        "mrr": "1 / place of the first right item",
        "map": "mean precision at each right item",
        "precision": "share of the first k places that are right",
        "hit_rate": "share of cases with any right item among the first k",
        "novelty": "bits of surprise: how few users know the items shown",
        "serendipity": "share of places that are right and not among the k most popular items",
        "category_diversity": "share of pairs in a list that lie in different categories",
        "vector_diversity": "mean cosine distance between items of a list",
        "mean_rank": "mean place of the right items; one that is not in the list counts as halfway through the rest",
        "coverage": "share of all items that some list shows",
        "gini": "inequality of exposure: 0 all equal, 1 one item takes all",
    },
    "zh": {
        "recall": "前 k 位命中的目标占全部目标的比例",
        "ndcg": "目标排得越靠前得分越高；1 为最佳排序",
        "mrr": "首个目标名次的倒数",
        "map": "各目标处准确率的平均",
        "precision": "前 k 位中目标所占比例",
        "hit_rate": "前 k 位含有目标的样本比例",
        "novelty": "意外程度（比特）：了解所示商品的用户越少越高",
        "serendipity": "命中且不属于最热门 k 个商品的位置比例",
        "category_diversity": "列表中不同类目的商品对比例",
        "vector_diversity": "列表内商品两两余弦距离的平均",
        "mean_rank": "目标的平均名次；未进入列表者按其余名次的中点计",
        "coverage": "至少被一个列表展示过的商品比例",
        "gini": "曝光不均程度：0 为完全均等，1 为一件商品独占",
    },
}
"""What each metric says, by the part of its name before ``@``."""

IS_LOWER_BETTER = frozenset({"mean_rank", "gini"})
"""Metrics whose smaller values are better."""
HAS_NO_BEST = frozenset({"novelty", "category_diversity", "vector_diversity"})
"""Metrics that a random list would win; neither more nor less of them is better in itself."""


def percent(level: float) -> str:
    """0.95 as ``95%``."""
    return f"{100 * level:g}%"


def figure(value: float, *, is_signed: bool = False) -> str:
    """A figure with as many digits after the point as its size deserves; a dash where there is none."""
    if value != value:
        return "–"
    digits = 4 if abs(value) < 2 else 2 if abs(value) < 100 else 1
    return f"{value:+.{digits}f}" if is_signed else f"{value:.{digits}f}"
