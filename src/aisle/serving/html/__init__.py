"""What both sets of pages stand on: words in two languages, templates, files of the page, headers, prices.

Knows nothing of the shop's pages themselves. Nothing is loaded from elsewhere; every value is escaped.
"""

from aisle.serving.html.assets import Assets
from aisle.serving.html.headers import guard
from aisle.serving.html.pages import Pages
from aisle.serving.html.prices import price
from aisle.serving.html.routing import PageRoute
from aisle.serving.html.words import LANGUAGES, Words, read_words

__all__ = ["LANGUAGES", "Assets", "PageRoute", "Pages", "Words", "guard", "price", "read_words"]
