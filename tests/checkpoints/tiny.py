"""The families of ``tests.checkpoints`` by function name."""

from tests.checkpoints.idefics3 import build as idefics3
from tests.checkpoints.qwen2_vl import build as qwen2_vl

__all__ = ["idefics3", "qwen2_vl"]
