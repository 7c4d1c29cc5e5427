"""From samples to predictions: prompts, shards, the journal, and the work around a loaded model."""
