"""A benchmark's TSV made from what people have: a CSV or JSONL with a folder of images, or parquet files."""
