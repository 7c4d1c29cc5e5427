"""Tiny checkpoints of published architectures with random weights, built from configs when a test needs them."""
