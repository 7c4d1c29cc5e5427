"""What a model is: its files, and which of its settings can change its answers."""
