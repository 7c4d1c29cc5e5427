"""What can be run: benchmarks and models as typed entries, and benchmarks that no entry describes."""
