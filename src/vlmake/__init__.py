"""vlmake: evaluate vision-language models the way ``make`` builds programs."""

__version__ = "0.1.0"
