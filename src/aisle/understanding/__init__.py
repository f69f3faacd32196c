"""What a query asks for: language, category, brand, attributes, price range and intent, each with its probability.

Enters: a query's text and what the shop sells. Leaves: ``Query``. Retrieves nothing and ranks nothing.
"""

from aisle.understanding.reader import ItemWordsReader, UnderstandingConfig

__all__ = ["ItemWordsReader", "UnderstandingConfig"]
