"""What the compression benchmark searches among."""

from __future__ import annotations

from benchmarks.compression import among

IDS = [str(number) for number in range(20)]
JUDGED = {"tea": {"3": 3.0, "7": 1.0}, "pot": {"7": 2.0, "gone": 3.0}}


def test_all_titles_are_searched_unless_told_otherwise() -> None:
    assert among(IDS, IDS, JUDGED, None).ids == IDS


def test_the_judged_titles_and_so_many_others_once_each_in_the_files_order() -> None:
    search = among(IDS, [f"title {one}" for one in IDS], JUDGED, 5)

    assert {"3", "7"} < set(search.ids)
    assert len(search.ids) == len(set(search.ids)) == 7
    assert search.ids == sorted(search.ids, key=int)
    assert search.titles == [f"title {one}" for one in search.ids]
    assert among(IDS, IDS, JUDGED, 5).ids == search.ids
