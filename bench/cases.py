"""The published models that ``gpu.py`` measures: layout, size and target; and miniatures of them for a CPU."""

from dataclasses import replace
from typing import NamedTuple

from layouts import Size, Tower


class Case(NamedTuple):
    """A published model: its layout and size, and the seconds that an MME-shaped set may take on one H200."""

    layout: str
    size: Size
    target: float | None


CASES = {
    "LLaVA-1.5-7B": Case(
        "LLaVA", Size(Tower(1024, 24, 16, 4096), Tower(4096, 32, 32, 11008), 32, 32064, side=336, patch=14), 30.0
    ),
    "Qwen2-VL-2B": Case(
        "Qwen2-VL",
        Size(
            Tower(1280, 32, 16, 5120), Tower(1536, 28, 12, 8960), 2, 151936, side=1008, patch=14,
            pixels={"min_pixels": 1280 * 28 * 28, "max_pixels": 16384 * 28 * 28},
        ),
        60.0,
    ),
    "InternVL2-2B": Case(
        "InternVL",
        Size(
            Tower(1024, 24, 16, 4096), Tower(2048, 24, 16, 8192), 8, 92553, side=448, patch=14,
            pixels={"min_patches": 1, "max_patches": 6},
        ),
        45.0,
    ),
}  # fmt: skip
_MINI = Size(Tower(64, 2, 4, 128), Tower(64, 2, 4, 128), 2, 512, side=32, patch=8)
TINY_CASES = {
    "LLaVA-1.5-7B": Case("LLaVA", _MINI, None),
    "Qwen2-VL-2B": Case("Qwen2-VL", replace(_MINI, pixels={"min_pixels": 1024, "max_pixels": 4096}), None),
    "InternVL2-2B": Case("InternVL", replace(_MINI, pixels={"min_patches": 1, "max_patches": 6}), None),
}
