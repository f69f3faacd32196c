"""The words of search reports in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from aisle.evaluation.intervals import Interval
from aisle.evaluation.report_words import Language, figure

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "Search report",
        "window": "{since} to {until} UTC",
        "searches": "Searches",
        "queries": "Queries",
        "people": "People",
        "group": "Group",
        "all": "All searches",
        "overview": "At a glance",
        "overview_about": "Figures of the shop's own log, with {level} intervals (one person's searches go together).",
        "nothing": "Found nothing",
        "rescued": "… rescued by relaxing",
        "empty": "… empty page",
        "clicked": "With a click",
        "first_rank": "First click's place",
        "purchases": "Bought a search",
        "reworded": "Reworded",
        "by": "By {grouping}",
        "query_class": "kind of query",
        "language": "language",
        "n_words": "number of words",
        "volume": "how often it is asked",
        "novelty": "new or known",
        "code": "code or id",
        "service": "service question",
        "price": "price",
        "nonsense": "unknown words",
        "long": "long, natural language",
        "brand": "brand",
        "category": "category",
        "attribute": "attribute",
        "product": "other products",
        "unread": "not read",
        "english": "English (Latin letters)",
        "chinese": "Chinese",
        "mixed": "mixed",
        "other": "neither",
        "head": "head (the top third of searches)",
        "torso": "torso (the middle third)",
        "tail": "tail (the rest, and asked once)",
        "new": "new in this time",
        "known": "asked before",
        "zero_results": "Found nothing",
        "zero_results_about": "Nothing matched; what was shown instead is named. Add the item, its words, or a rule.",
        "low_clicks": "Seldom clicked",
        "low_clicks_about": (
            "Less often clicked than usual, by more than chance. What stands first is clicked more whatever it is, and "
            "some questions are answered by the list itself: look at the list before judging it."
        ),
        "reworded_title": "Put in other words",
        "reworded_about": "Within five minutes, nothing clicked, the same person asked for the same in other words.",
        "query": "Query",
        "kind": "Kind",
        "share": "Share",
        "lost": "Surely lost",
        "became": "What followed",
        "advice": "Rule to look at",
        "relaxed:words": "shown without some words",
        "relaxed:filters": "shown without filters",
        "relaxed:neighbours": "shown what is near in meaning",
        "relaxed:popular": "shown what is popular",
        "times": "{text} ({n}×)",
        "synonyms": "synonyms: {words}",
        "hidden": "{n} queries of fewer than {people} people stand in no table; they are counted.",
        "no_rows": "None that chance would not explain.",
        "judged": "Judged queries",
        "judged_about": "{source}: {n} queries, {judgments} judgments. Items nobody judged count as worth nothing.",
        "unknown_items": "{n} judgments name items that this shop does not have; they are left out.",
        "worst_judged": "Worst queries, beside the ideal list",
        "ours": "The shop's list",
        "ideal": "Ideal list",
        "change": "What changes: {name} {before} → {after}",
        "change_about": "{n} queries, {unchanged} of them with the same first ten places.",
        "on_judged": "On the judged queries.",
        "on_searches": "On searches drawn from the log, so that a frequent query counts as often as it is asked.",
        "moved": "Queries that moved most",
        "before": "Before: {version}",
        "after": "After: {version}",
        "overlap@10": "overlap@10",
        "rbo": "rank-biased overlap",
        "ndcg@10": "ndcg@10",
        "recall@100": "recall@100",
        "ndcg@10_before": "ndcg@10 before",
        "ndcg@10_after": "ndcg@10 after",
        "ndcg@10_change": "ndcg@10 change",
        "grade": "grade {grade}",
        "none": "nothing",
        "no-searches": "Nobody searched in this time.",
        "log-cut": "The log is long: only its newest lists were read.",
        "lists-unknown": "No list of these searches is recorded, so it is not known which found nothing.",
        "privacy": "This page holds what people typed. Who is erased later still stands in this copy: make it anew.",
    },
    "zh": {
        "title": "搜索质量报告",
        "window": "{since} 至 {until}（UTC）",
        "searches": "搜索次数",
        "queries": "查询词数",
        "people": "人数",
        "group": "分组",
        "all": "全部搜索",
        "overview": "总览",
        "overview_about": "来自店铺自身日志的指标，附 {level} 置信区间（同一人的搜索作为整体）。",
        "nothing": "无匹配结果",
        "rescued": "… 放宽后有内容",
        "empty": "… 空白页",
        "clicked": "有点击",
        "first_rank": "首次点击名次",
        "purchases": "每次搜索购买数",
        "reworded": "改写后重搜",
        "by": "按{grouping}",
        "query_class": "查询类型",
        "language": "语言",
        "n_words": "词数",
        "volume": "查询频次",
        "novelty": "新旧",
        "code": "编号或型号",
        "service": "客服问题",
        "price": "价格",
        "nonsense": "未知词语",
        "long": "长句、自然语言",
        "brand": "品牌",
        "category": "类目",
        "attribute": "属性",
        "product": "其他商品",
        "unread": "未解析",
        "english": "英文（拉丁字母）",
        "chinese": "中文",
        "mixed": "中英混合",
        "other": "其他",
        "head": "头部（搜索量前三分之一）",
        "torso": "腰部（中间三分之一）",
        "tail": "长尾（其余及仅搜一次）",
        "new": "本期新出现",
        "known": "此前搜过",
        "zero_results": "无匹配结果",
        "zero_results_about": "没有匹配的商品；注明了代替展示的内容。可补充商品、商品用词或规则。",
        "low_clicks": "少有点击",
        "low_clicks_about": (
            "点击明显少于平均，且不能用偶然解释。排在前面的商品无论好坏都更易被点击，有些问题看列表即得答案：先看列表再下结论。"
        ),
        "reworded_title": "换词重搜",
        "reworded_about": "五分钟内没有点击，同一人换了说法再搜同一需求。",
        "query": "查询词",
        "kind": "类型",
        "share": "比例",
        "lost": "确定损失",
        "became": "随后",
        "advice": "可考虑的规则",
        "relaxed:words": "去掉部分词后展示",
        "relaxed:filters": "去掉筛选后展示",
        "relaxed:neighbours": "展示语义相近商品",
        "relaxed:popular": "展示热门商品",
        "times": "{text}（{n} 次）",
        "synonyms": "同义词：{words}",
        "hidden": "{n} 个查询词的搜索人数少于 {people}，不在表中显示，但计入统计。",
        "no_rows": "没有超出偶然的条目。",
        "judged": "有标注的查询",
        "judged_about": "{source}：{n} 个查询，{judgments} 条标注。未标注的商品按零分计。",
        "unknown_items": "{n} 条标注所指商品不在本店，已略去。",
        "worst_judged": "最差的查询与理想列表对照",
        "ours": "本店列表",
        "ideal": "理想列表",
        "change": "变化：{name} {before} → {after}",
        "change_about": "{n} 个查询，其中 {unchanged} 个前十位不变。",
        "on_judged": "基于有标注的查询。",
        "on_searches": "基于从日志抽取的搜索，常搜的查询按次数计。",
        "moved": "变动最大的查询",
        "before": "之前：{version}",
        "after": "之后：{version}",
        "overlap@10": "前十重合度",
        "rbo": "RBO 重合度",
        "ndcg@10": "ndcg@10",
        "recall@100": "recall@100",
        "ndcg@10_before": "之前 ndcg@10",
        "ndcg@10_after": "之后 ndcg@10",
        "ndcg@10_change": "ndcg@10 变化",
        "grade": "评分 {grade}",
        "none": "无",
        "no-searches": "这段时间没有人搜索。",
        "log-cut": "日志很长，只读取了最新的列表。",
        "lists-unknown": "这些搜索的列表没有记录，无法得知哪些没有结果。",
        "privacy": "本页含有顾客输入的内容。之后被删除的用户仍留在此副本中：请重新生成。",
    },
}
"""Headings, names of groups, sentences; ``{...}`` are filled in."""

COUNTED = ("first_rank", "purchases", "overlap@10", "rbo")
"""Figures that are no shares; they are shown as numbers."""


def moment(milliseconds: int) -> str:
    """A day in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")


def told(name: str, value: float, *, is_signed: bool = False) -> str:
    """A figure as people read it: shares in percent, others as numbers; a dash where there is none."""
    if value != value:
        return "–"
    if name in COUNTED:
        return f"{value:.2f}"
    if name.startswith(("ndcg", "recall")):
        return figure(value, is_signed=is_signed or name.endswith("change"))
    return f"{100 * value:.1f}%"


def range_told(name: str, interval: Interval) -> str:
    """Both ends of an interval; "" where there are none."""
    if interval.low != interval.low:
        return ""
    return f"{told(name, interval.low)} … {told(name, interval.high)}"
