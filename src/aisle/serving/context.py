"""What every route works with, made once for a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from aisle.serving.answering import Answering
from aisle.settings import ServingConfig
from aisle.shop import Shop

if TYPE_CHECKING:
    from aisle.serving.intake import EventIntake
    from aisle.serving.keys import Keys
    from aisle.serving.metrics import Metrics
    from aisle.storage.request_keys import SqlRequestKeys


@dataclass
class Serving:
    """The parts of a serving process; stands at ``app.state.serving``. ``keys`` None: everybody may do everything."""

    shop: Shop
    config: ServingConfig
    keys: Keys | None
    metrics: Metrics
    intake: EventIntake
    answering: Answering
    request_keys: SqlRequestKeys
    is_ready: bool = True
    """False while the shop is being loaded and once the process shuts down."""


def serving_of(request: HTTPConnection) -> Serving:
    """The parts of the process that answers ``request``."""
    return request.app.state.serving
