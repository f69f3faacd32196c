"""The story of a shop: search, recommend, collect, train, evaluate. Each file reads top to bottom, one call a stage."""
