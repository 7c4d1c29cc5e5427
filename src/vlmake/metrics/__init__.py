"""Answers → score table: one small module a metric, plus its line in ``registry.py``."""
