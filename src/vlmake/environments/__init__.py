"""Other libraries than vlmake's own for a model that needs them: lock files, and environments built from these."""
