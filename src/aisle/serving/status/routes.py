"""The routes of the status page."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from aisle.errors import AisleError
from aisle.evaluation.search_report_page import search_page, stylesheet_hash
from aisle.flows.search_report import SearchReportPlan
from aisle.ranking.gate import PASSED
from aisle.serving.context import serving_of
from aisle.serving.html import LANGUAGES, Assets, PageRoute, Pages, Words, guard, read_words
from aisle.serving.html.words import NAMES
from aisle.serving.languages import language_of
from aisle.serving.metrics import Sample
from aisle.serving.status.gathering import gather
from aisle.serving.status.plots import HEIGHT, LEFT, RIGHT, WIDTH, figure, plot
from aisle.serving.status.reading import read_metrics

log = logging.getLogger("aisle.status")

PACKAGE = "aisle.serving.status"
REFRESH_SECONDS = 10
MOST_DAYS = 366
COUNTED = ("items", "users", "events", "documents", "slates", "waiting_events", "suspect_events", "seq")


def status_router() -> APIRouter:
    """``/status``, which needs an admin key where the shop has keys, and the files it is drawn with."""
    assets = Assets(PACKAGE, "/status/static")
    box = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT}
    pages = Pages(
        PACKAGE, asset=assets.address, languages=NAMES, box=box, figure=figure, moment=moment, age=age, PASSED=PASSED
    )
    words = read_words(PACKAGE)

    async def status(request: Request) -> Response:
        serving = serving_of(request)
        asked = request.query_params.get("language")
        language = asked if asked in LANGUAGES else language_of(request, LANGUAGES)
        w = words[language]
        try:
            gathered = await serving.answering.run_aside(gather, serving.shop)
            readings = read_metrics((await serving.answering.run_aside(serving.metrics.text)).decode())
        except AisleError as error:
            log.warning("the status page cannot be made: %s", error)
            return guard(PlainTextResponse(str(error), 503))
        samples = serving.metrics.history()
        is_refreshed = request.query_params.get("refresh") == "1"
        text = pages.render(
            "status.html",
            w=w,
            language=language,
            shop_name=serving.shop.settings.shop.name,
            gathered=gathered,
            counted=[(name, gathered.counts[name]) for name in COUNTED if name in gathered.counts],
            readings=readings,
            slowest=max((stage.p99_ms for stage in readings.stages), default=1.0) or 1.0,
            plots=[plot(w(f"plot_{name}"), unit, *drawn) for name, unit, drawn in _drawn(samples)],
            now_ms=serving.shop.clock(),
            n_samples=len(samples),
            refresh=is_refreshed,
            has_storefront=serving.config.storefront,
        )
        headers = {"refresh": str(REFRESH_SECONDS)} if is_refreshed else {}
        return guard(HTMLResponse(text, headers={"cache-control": "no-store", **headers}))

    router = APIRouter()
    router.routes.extend(
        [
            PageRoute("/status", status, methods=["GET"], role="admin"),
            PageRoute("/status/search", searches, methods=["GET"], role="admin"),
            PageRoute("/status/static/{fingerprint}/{name}", assets.send, methods=["GET"]),
        ]
    )
    return router


async def searches(request: Request) -> Response:
    """The search report of the last ``days`` (1 to 366, 30 if nothing is said), made anew each time."""
    serving = serving_of(request)
    asked = request.query_params.get("language")
    language = "zh" if (asked if asked in LANGUAGES else language_of(request, LANGUAGES)) == "zh" else "en"
    given = request.query_params.get("days", "30")
    if not given.isdecimal() or len(given) > 3 or not 1 <= int(given) <= MOST_DAYS:
        return guard(PlainTextResponse(f"days is {given[:20]!r}; allowed are 1 to {MOST_DAYS}", 422))
    plan = SearchReportPlan(days=int(given))
    try:
        report = await serving.answering.run_aside(serving.shop.search_report, plan)
    except AisleError as error:
        log.warning("the search report cannot be made: %s", error)
        return guard(PlainTextResponse(str(error), 503))
    other = f"/status/search?language={'en' if language == 'zh' else 'zh'}&days={plan.days}"
    page = search_page(report, language, other_language=other)
    return guard(HTMLResponse(page, headers={"cache-control": "no-store"}), style=stylesheet_hash())


def moment(milliseconds: int) -> str:
    """A time for engineers: UTC to the minute."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def age(milliseconds: int, words: Words) -> str:
    """How long ago that is: hours up to two days, then days."""
    hours = milliseconds / 3_600_000
    return words("age_hours", n=f"{hours:.1f}") if hours < 48 else words("age_days", n=f"{hours / 24:.0f}")


def _drawn(
    samples: Sequence[Sample],
) -> list[tuple[str, str, tuple[list[float], Mapping[str, list[float]]]]]:
    """Name, unit, times and lines of every plot."""
    times = [sample.time_s for sample in samples]
    groups = sorted({group for sample in samples for group in sample.requests})
    parts = sorted({part for sample in samples for part in sample.degraded})
    nan = float("nan")
    return [
        ("requests", "/s", (times, {g: [sample.requests.get(g, 0.0) for sample in samples] for g in groups})),
        (
            "latency",
            "ms",
            (
                times,
                {
                    "p50": [nan if sample.p50_ms is None else sample.p50_ms for sample in samples],
                    "p99": [nan if sample.p99_ms is None else sample.p99_ms for sample in samples],
                },
            ),
        ),
        ("events", "/s", (times, {"events": [sample.events for sample in samples]})),
        (
            "trouble",
            "/s",
            (
                times,
                {"5xx": [sample.errors for sample in samples]}
                | {part: [sample.degraded.get(part, 0.0) for sample in samples] for part in parts},
            ),
        ),
    ]
