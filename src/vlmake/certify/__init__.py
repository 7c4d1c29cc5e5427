"""Certification: a converted model against the code that its checkpoint was published with, prompt by prompt.

Both sides see the same prompts, one after the other: the original in an interpreter of its own, by the standalone
program ``original.py``, the converted one through the backend that evaluates. ``comparison`` holds the rules.
"""
