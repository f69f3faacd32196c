"""Aisle: search and recommendations for an online shop."""
