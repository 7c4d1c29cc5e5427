"""Which GPUs this process may use, found without importing torch."""

import os
import shutil
import subprocess
from functools import cache


@cache
def visible_gpus() -> tuple[str, ...]:
    """Return the ids of the usable NVIDIA devices: ``CUDA_VISIBLE_DEVICES`` if set, else what nvidia-smi lists."""
    declared = os.environ.get("CUDA_VISIBLE_DEVICES")
    if declared is not None:
        return tuple(device.strip() for device in declared.split(",") if device.strip() not in ("", "-1"))
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    listed = subprocess.run(query, capture_output=True, text=True, check=False, timeout=60)
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip().startswith("GPU-"))
