"""What judges are asked about which answers, one module a kind, and the wording and reading that kinds share."""
