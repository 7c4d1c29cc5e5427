"""VCR in Chinese.

Source: Zhang et al. 2024 (arXiv 2406.06462), rules as VLMEvalKit has them (``vlmake.metrics.vcr``).
"""

from vlmake.metrics.vcr import vcr_metric

METRIC = vcr_metric("zh")
