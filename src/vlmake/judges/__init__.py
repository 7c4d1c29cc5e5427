"""Who settles what the extraction rules left open; one module a judge."""
