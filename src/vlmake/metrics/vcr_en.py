"""VCR in English."""

from vlmake.metrics.vcr import vcr_metric

METRIC = vcr_metric("en")
