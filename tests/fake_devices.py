"""Programs that answer as a vendor's tool does, for machines without its devices."""

from pathlib import Path

UUIDS = (
    "GPU-f1a2b3c4-0000-4000-8000-000000000000",
    "GPU-a1b2c3d4-1111-4111-8111-111111111111",
    "GPU-a1ffc3d4-2222-4222-8222-222222222222",
    "GPU-0badcafe-3333-4333-8333-333333333333",
)


def program(folder: Path, name: str, script: str) -> Path:
    """Put a shell script into ``folder``, which is to be the PATH: it may use the shell's own commands only."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    file.chmod(0o755)
    return folder


def nvidia_smi(folder: Path, mig_mode: str = "[N/A]", partitions: str = "") -> Path:
    """Four GPUs; ``mig_mode`` and ``partitions`` (lines of ``nvidia-smi -L``) are those of the second."""
    modes = ["[N/A]", mig_mode, "[N/A]", "[N/A]"]
    table = "\n".join(f"{index}, {uuid}, {mode}" for index, (uuid, mode) in enumerate(zip(UUIDS, modes, strict=True)))
    listing = [f"GPU {index}: NVIDIA A100-SXM4-80GB (UUID: {uuid})" for index, uuid in enumerate(UUIDS)]
    listing[1] += f"\n{partitions}".rstrip()
    queried = '"--query-gpu=index,uuid,mig.mode.current --format=csv,noheader"'
    answers = f"{queried}) echo '{table}';;\n-L) echo '" + "\n".join(listing) + "';;\n*) exit 2;;"
    return program(folder, "nvidia-smi", f'case "$*" in\n{answers}\nesac\n')
