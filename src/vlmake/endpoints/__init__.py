"""Servers that speak OpenAI's chat completions: one client for models and for judges."""
