"""Benchmarks: each is run as ``python -m benchmarks.NAME`` and prints one JSON object as its last line."""
