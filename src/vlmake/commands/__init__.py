"""One module per command of ``vlmake``, each with a click command called ``command``."""
