"""Predictions that another tool made, kept so that they stand as a model: found, read, doubted, written."""

from typing import Literal

Format = Literal["auto", "vlmevalkit", "samples", "vlmake"]
"""Whose files are looked for: anybody's, VLMEvalKit's, sample logs of lm-eval and lmms-eval, or vlmake's own."""
