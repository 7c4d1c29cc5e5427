"""The report: every score of a work directory as one page that opens from disk."""
