"""A benchmark's files, from where they are published to samples and images on disk."""
