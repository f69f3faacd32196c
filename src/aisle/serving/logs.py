"""What a serving process writes down: one line a request, and whatever the parts have to say.

Lines are JSON, or plain text on a terminal. They name routes and never paths, queries, bodies, users, items, keys or
addresses: a log is kept and copied where personal data must not go.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aisle.serving.metrics import Metrics

requests = logging.getLogger("aisle.requests")

UNKNOWN_ROUTE = "unknown"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class JsonLines(logging.Formatter):
    """A record as one line of JSON; what was given as ``extra={"fields": ...}`` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class PlainLines(logging.Formatter):
    """A record as a person reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with its trace below."""
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        fields: dict[str, Any] = getattr(record, "fields", {})
        text = "{method} {route} {status} {ms} ms".format_map(fields) if fields else record.getMessage()
        line = f"{at} {record.levelname.lower():7} {text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def write_logs(stream: TextIO = sys.stderr) -> None:
    """Send everything that is logged, Python's warnings included, to ``stream`` from now on."""
    lines = logging.StreamHandler(stream)
    lines.setFormatter(PlainLines() if stream.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers = [lines]
    root.setLevel(logging.WARNING)
    logging.getLogger("aisle").setLevel(logging.INFO)
    logging.captureWarnings(True)


class RequestLog:
    """ASGI: gives every request an id, and tells the log and the metrics how it ended.

    The id comes from ``X-Request-ID`` where that is well-formed; it goes back in the same header.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, on_fault: Callable[[Request, Exception], Response]) -> None:
        """``on_fault`` makes the answer to a request whose route failed."""
        self._app = app
        self._metrics = metrics
        self._on_fault = on_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and write down how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        start = time.perf_counter()
        status, has_begun = 499, False  # the caller hung up before there was an answer

        async def noted(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            pass  # nobody is there to be answered; log and metrics hear of it below, as 499
        except Exception as error:
            if has_begun:  # nothing better can be said any more than to break off
                raise
            await self._on_fault(Request(scope), error)(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            self._metrics.requested(route, method, status, seconds)
            level = logging.WARNING if status >= 500 else logging.INFO
            if requests.isEnabledFor(level):
                fields: dict[str, Any] = {
                    "request_id": request_id,
                    "method": method,
                    "route": route,
                    "status": status,
                    "ms": round(1000.0 * seconds, 2),
                }
                if degraded := scope["state"].get("degraded"):
                    fields["degraded"] = degraded
                requests.log(level, "request", extra={"fields": fields})


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode()
    return None
