"""One model's layers spread over the job's GPUs, never over anything slower."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from vlmake.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

_GIGABYTE = 1e9


def wanted_map(device_map: str | None, device: str) -> Any:
    """Return what the library takes as ``device_map``; the CPU is one device, also where GPUs are visible."""
    return {"": "cpu"} if device == "cpu" else device_map


def refuse_offload(model: Any, device: str) -> None:
    """Raise ValueError where layers were put on the disk, or on the CPU of a model that runs on GPUs.

    Such a model answers correctly and a hundred times slower, which looks like a hang.
    """
    placed = getattr(model, "hf_device_map", None) or {"all of it": model.device.type}  # one device: no map is kept
    slow = {"disk"} if device == "cpu" else {"cpu", "disk"}
    if not (offloaded := [name for name, place in placed.items() if str(place) in slow]):
        return
    wanted = model.get_memory_footprint() / _GIGABYTE
    left = f"{counted(len(offloaded), 'part')} of it, the first is {offloaded[0]}"
    message = f"it does not fit ({left}): the weights take {wanted:.3g} GB"
    free = _free_memory(device)
    if free:
        gpus = -(-wanted * _GIGABYTE // (0.9 * max(free)))
        message += f", {sum(free) / _GIGABYTE:.3g} GB are free on {counted(len(free), 'device')};"
        message += f" give it at least {gpus:.0f} `gpus`"
    raise ValueError(message)


def device_map_facts(model: Any) -> dict[str, float]:
    """Return the gigabytes of weights on each device."""
    taken: Counter[str] = Counter()
    for parameter in model.parameters():
        taken[str(parameter.device)] += parameter.numel() * parameter.element_size()
    return {device: round(taken[device] / _GIGABYTE, 3) for device in sorted(taken)}


def _free_memory(device: str) -> Sequence[int]:
    """Return the free bytes of every accelerator that this process may use, counting what the model took."""
    import torch

    if device == "cpu":
        return []
    kind = getattr(torch, device)
    reserved = [kind.memory_reserved(index) for index in range(kind.device_count())]
    return [kind.mem_get_info(index)[0] + taken for index, taken in enumerate(reserved)]
