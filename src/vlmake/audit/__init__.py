"""Extraction checked by people: a sheet of drawn samples to label by hand, and what the labels say of each protocol."""
