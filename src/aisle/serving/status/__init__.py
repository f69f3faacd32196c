"""The status page under ``/status``, for the engineer: what is recorded, what answers, how fast, what is wrong."""

from aisle.serving.status.routes import status_router

__all__ = ["status_router"]
