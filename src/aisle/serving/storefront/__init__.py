"""The shop page under ``/``: a small shop that a person can use, made of the same answers that the API gives.

Server-rendered and usable without scripts. What visitors do becomes events of the shop, so every page reflects the one
before.
"""

from aisle.serving.storefront.routes import storefront_router

__all__ = ["storefront_router"]
