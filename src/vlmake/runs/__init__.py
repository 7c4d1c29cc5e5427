"""A run as a whole: its configuration, its plan, its work directory, and what it tells the user."""
