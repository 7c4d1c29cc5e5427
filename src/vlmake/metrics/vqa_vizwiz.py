"""VizWiz: questions of blind people, ten annotators each, whose texts stand in the column ``answers``."""

from vlmake.metrics.base import Metric
from vlmake.metrics.vqa_accuracy import hits
from vlmake.metrics.vqa_table import overall_table

METRIC = Metric(hits=hits, table=overall_table)
"""VQA accuracy; Overall alone, as VLMEvalKit has it. Source: Gurari et al. 2018 (arXiv 1802.08218)."""
