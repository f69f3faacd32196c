"""The steps that bring an older database to the tables of ``schema.py``; run by ``upgrades.py``."""
