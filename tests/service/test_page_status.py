"""The status page in process: what it tells, to whom, and its plots."""

from __future__ import annotations

import math
import shutil

import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aisle.serving.keys import Keys, add_key
from aisle.serving.status.gathering import refused_files
from aisle.serving.status.plots import HEIGHT, RIGHT, WIDTH, nice_top, plot
from aisle.serving.status.reading import read_metrics
from aisle.storage.keys import SqlKeys
from aisle.testing import tiny_shop
from tests.service.tiny_server import in_process


def test_it_tells_counts_findings_models_and_times(http):
    http.get("/search?q=kettle")
    response = http.get("/status")
    html = HTMLParser(response.text)

    assert response.status_code == 200
    assert "unsafe" not in response.headers["content-security-policy"]
    tiles = {node.css_first("span").text(): node.css_first("b").text() for node in html.css(".tiles div")}
    assert (tiles["items"], tiles["users"]) == ("12", "6")
    text = html.body.text()
    assert "linear" in text
    assert "understand" in text, "the times of the stages"
    assert not html.css("script, style, [style]")
    assert http.get(html.css_first("link[rel=stylesheet]").attributes["href"]).status_code == 200


def test_it_speaks_chinese(http):
    assert "运行状态" in http.get("/status?language=zh").text
    assert "运行状态" in http.get("/status", headers={"accept-language": "zh-CN"}).text


def test_it_can_refresh_itself(http):
    assert "refresh" not in http.get("/status").headers
    assert http.get("/status?refresh=1").headers["refresh"] == "10"


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("write", 403), ("read", 403), (None, 401)])
def test_with_keys_only_an_admin_sees_it(trained_folder, tmp_path, role, status):
    database = tmp_path / "shop.db"
    shutil.copy(trained_folder / "shop.db", database)
    records = SqlKeys.open(database)
    token = add_key(records, "someone", role, tiny_shop().clock)[0] if role else "aisle_0_0"
    keys = Keys(records)
    with in_process(trained_folder, tmp_path / "shop", keys=keys) as client:
        response = client.get("/status", auth=("anyone", token))

        assert response.status_code == status
        if status == 401:
            assert "Basic" in response.headers["www-authenticate"]
        if status != 200:
            assert "linear" not in response.text
    keys.close()


def test_refused_values_are_shown_as_text(trained_folder, tmp_path):
    with in_process(trained_folder, tmp_path / "shop") as client:
        folder = client.app.state.serving.shop.folder.refusals
        folder.mkdir()
        line = b'{"source":"a.csv","row":7,"field":"price","value":"<script>alert(1)</script>","allowed":"a number"}\n'
        (folder / "1790000000000-4eb4fd1f.jsonl").write_bytes(line * 9)
        (folder / "1790000000001-00000000.jsonl").write_bytes(b"not json\n")

        html = HTMLParser(client.get("/status").text)

        assert "<script>alert(1)</script>" in html.body.text()
        assert not html.css("script")
        assert "2026-09-21 14:13" in html.css_first("details summary").text()
        assert "a.csv" in html.css_first("details td").text()
        (file,) = refused_files(folder)
        assert (file.time_ms, file.n_refusals, len(file.last)) == (1790000000000, 9, 5)


def test_a_ranker_that_was_never_trained_is_no_alarm(http):
    row = next(node for node in HTMLParser(http.get("/status").text).css("tr") if "ranker" in node.text())

    assert "not trained yet" in row.text()
    assert not row.css(".bad")


def test_a_plot_keeps_inside_its_box_and_leaves_gaps():
    times = [0.0, 5.0, 10.0, 100.0, 105.0]
    drawn = plot("title", "/s", times, {"a": [1.0, 2.0, math.nan, 7.0, 3.0], "b": [0.0] * 5})

    assert [line.label for line in drawn.lines] == ["a", "b"]
    assert len(drawn.lines[0].pieces) == 2
    points = [
        tuple(map(float, point.split(","))) for line in drawn.lines for piece in line.pieces for point in piece.split()
    ]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert max(x for x, _ in points) == WIDTH - RIGHT, "the last sample is now"
    assert drawn.up[-1].label == "10"
    assert plot("title", "/s", [1.0], {"a": [1.0]}).lines == ()


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.1, 2), (7, 10), (23, 25), (0.03, 0.05)])
def test_an_axis_ends_at_a_round_number(value, top):
    assert nice_top(value) == pytest.approx(top)


def test_a_server_that_has_just_started_fills_its_plots_from_the_right():
    drawn = plot("title", "/s", [100.0, 105.0], {"a": [1.0, 2.0]})

    assert drawn.lines[0].pieces[0].split()[-1].startswith(f"{WIDTH - RIGHT:.1f},")
    assert [tick.label for tick in drawn.across] == ["0", "-1 min"]


def test_stages_stand_in_the_order_in_which_they_run_and_misses_by_their_cause():
    stages = ("total", "record", "fuse", "source.popular", "retrieve", "understand", "facets")
    lines = [
        f'aisle_stage_seconds_bucket{{placement="search",stage="{stage}",le="{end}"}} 1'
        for stage in stages
        for end in ("0.002", "+Inf")
    ]
    text = "\n".join(
        [
            "# TYPE aisle_stage_seconds histogram",
            *lines,
            "# TYPE aisle_degraded counter",
            'aisle_degraded_total{placement="search",part="ranker",why="late"} 2',
            'aisle_degraded_total{placement="home",part="ranker",why="late"} 3',
            'aisle_degraded_total{placement="home",part="linear",why="failed"} 1',
            "# TYPE aisle_asks counter",
            'aisle_asks_total{placement="search"} 40',
            "",
        ]
    )

    readings = read_metrics(text)

    names = [stage.name for stage in readings.stages]
    assert names == ["understand", "retrieve", "source.popular", "fuse", "facets", "record", "total"]
    assert readings.degraded == {("ranker", "late"): 5, ("linear", "failed"): 1}
    assert readings.n_answers == 40


def test_times_of_stages_are_read_from_the_metrics():
    text = "\n".join(
        [
            "# TYPE aisle_stage_seconds histogram",
            'aisle_stage_seconds_bucket{placement="search",stage="rank",le="0.002"} 50',
            'aisle_stage_seconds_bucket{placement="search",stage="rank",le="0.004"} 100',
            'aisle_stage_seconds_bucket{placement="search",stage="rank",le="+Inf"} 100',
            "",
        ]
    )

    (stage,) = read_metrics(text).stages

    assert (stage.name, stage.n) == ("rank", 100)
    assert stage.p50_ms == pytest.approx(2.0)
    assert stage.p99_ms == pytest.approx(3.96)


def test_searches_have_a_page_that_loads_nothing(http):
    http.get("/search?q=zzqxv")
    response = http.get("/status/search?days=7")

    assert response.status_code == 200
    assert "Search report" in response.text
    assert "'sha256-" in response.headers["content-security-policy"]
    assert not HTMLParser(response.text).css("script, link, [style]")
    assert "搜索质量报告" in http.get("/status/search?language=zh").text
    assert [http.get(f"/status/search?days={days}").status_code for days in ("0", "x", "9999")] == [422] * 3
