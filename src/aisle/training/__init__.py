"""The one training loop: every network of the project learns here, whatever it learns.

An ``Objective`` makes batches and a loss of them; ``loop.train`` does the rest. Knows nothing of texts, items or shops.
"""
