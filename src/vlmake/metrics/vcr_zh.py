"""VCR in Chinese."""

from vlmake.metrics.vcr import vcr_metric

METRIC = vcr_metric("zh")
