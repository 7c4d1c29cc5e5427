"""Which accelerators this process may use, found without importing torch.

Each vendor's program lists what the machine has; the vendor's environment variable narrows that down. A device is
known by one name whichever way the variable spells it (index, UUID, start of a UUID), so that processes can agree on
who uses it. Where the program is missing or broken, the names that the variable declares are taken at their word.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

VendorName = Literal["cuda", "rocm", "ascend"]
_PROGRAM_SECONDS = 30.0
_INDEX = re.compile(r"\+?(\d+)")
_NAMED = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]{1,100}")


@dataclass(frozen=True, order=True)
class Device:
    """One device, by the name that is the same for every process: its UUID where there is one, else its index."""

    vendor: VendorName
    id: str


@dataclass(frozen=True)
class Vendor:
    """How a vendor's devices are listed and handed to a process.

    ``variable`` restricts a process to some devices; ``verified`` is False where the listing was written from
    documentation and never tried on such a machine.
    """

    title: str
    programs: tuple[str, ...]
    variable: str
    torch_kind: Literal["cuda", "npu"]
    verified: bool
    devices: Callable[[], tuple[Device, ...]]


def visible_devices() -> tuple[Device, ...]:
    """Return the devices that this process may use, all of one vendor; empty where there is none.

    A vendor whose program is installed comes before one whose variable alone is set (SLURM sets several vendors').
    """
    for vendor in sorted(VENDORS.values(), key=lambda vendor: not any(map(shutil.which, vendor.programs))):
        if found := vendor.devices():
            return found
    return ()


def restriction(devices: Sequence[Device]) -> dict[str, str]:
    """Return the environment variables that restrict a process to ``devices``, which are of one vendor.

    HIP counts within what ROCR leaves, so an inherited HIP_VISIBLE_DEVICES is renumbered.
    """
    if not devices:
        return {}
    chosen = {VENDORS[devices[0].vendor].variable: ",".join(device.id for device in devices)}
    if devices[0].vendor == "rocm":
        chosen["HIP_VISIBLE_DEVICES"] = ",".join(str(position) for position in range(len(devices)))
    return chosen


def is_partition(device: Device) -> bool:
    """Tell whether ``device`` is a MIG partition, of which CUDA gives a process one at most."""
    return device.id.startswith("MIG-")


def cuda_devices(seconds: float = _PROGRAM_SECONDS) -> tuple[Device, ...]:
    """List NVIDIA GPUs, narrowed down by CUDA_VISIBLE_DEVICES as the CUDA driver reads it.

    nvidia-smi gets ``seconds`` to answer. Indices count as it does, which is CUDA's CUDA_DEVICE_ORDER=PCI_BUS_ID. A GPU
    in MIG mode stands for its partitions; that part was never tried on such a machine.
    """
    program = shutil.which("nvidia-smi")
    query = ("--query-gpu=index,uuid,mig.mode.current", "--format=csv,noheader")
    listed, in_partitions = [], False
    for line in _output(seconds, program, *query).splitlines():
        if match := re.fullmatch(r"\s*\d+\s*,\s*(GPU-[0-9A-Za-z-]+)\s*(?:,\s*(.*?)\s*)?", line):
            listed.append(match[1])
            in_partitions |= match[2] == "Enabled"
    partitions = _partitions(_output(seconds, program, "-L")) if in_partitions else {}
    known = [part for gpu in listed for part in partitions.get(gpu, ())]
    chosen = restrict(listed, os.environ.get("CUDA_VISIBLE_DEVICES"), known)
    return _devices("cuda", [part for name in chosen for part in partitions.get(name, (name,))])


def rocm_devices(seconds: float = _PROGRAM_SECONDS) -> tuple[Device, ...]:
    """List AMD GPUs by rocm-smi, else amd-smi, narrowed down by ROCR_VISIBLE_DEVICES, then HIP_VISIBLE_DEVICES.

    Written from documentation, never tried on such a machine.
    """
    if program := shutil.which("rocm-smi"):
        listed = _rocm_smi_names(_json(_output(seconds, program, "--showuniqueid", "--json")))
    else:
        listed = _amd_smi_names(_json(_output(seconds, shutil.which("amd-smi"), "list", "-e", "--json")))
    left = restrict(listed, os.environ.get("ROCR_VISIBLE_DEVICES"))
    within = os.environ.get("HIP_VISIBLE_DEVICES")
    if within is None and left:  # HIP reads CUDA's variable where its own is not set
        within = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not left and os.environ.get("ROCR_VISIBLE_DEVICES") is not None:
        return ()
    return _devices("rocm", restrict(left, within))


def ascend_devices(seconds: float = _PROGRAM_SECONDS) -> tuple[Device, ...]:
    """List Ascend NPUs by their logic id (``npu-smi info -m``), narrowed down by ASCEND_RT_VISIBLE_DEVICES.

    Written from documentation, never tried on such a machine.
    """
    listed = []
    for line in _output(seconds, shutil.which("npu-smi"), "info", "-m").splitlines():
        if match := re.match(r"\s*\d+\s+\d+\s+(\d+)\s+\S", line):  # a controller chip has "-" for its logic id
            listed.append(match[1])
    return _devices("ascend", restrict(listed, os.environ.get("ASCEND_RT_VISIBLE_DEVICES")))


VENDORS: Mapping[VendorName, Vendor] = MappingProxyType(
    {
        "cuda": Vendor("NVIDIA CUDA", ("nvidia-smi",), "CUDA_VISIBLE_DEVICES", "cuda", True, cuda_devices),
        "rocm": Vendor("AMD ROCm", ("rocm-smi", "amd-smi"), "ROCR_VISIBLE_DEVICES", "cuda", False, rocm_devices),
        "ascend": Vendor("Ascend", ("npu-smi",), "ASCEND_RT_VISIBLE_DEVICES", "npu", False, ascend_devices),
    }
)


def restrict(listed: Sequence[str], declared: str | None, partitions: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names that a visible-devices variable leaves of ``listed``.

    Args:
        listed: Stable names in the machine's order; if empty, the declared names stand for themselves.
        declared: The variable: indices, or ``GPU-`` UUIDs, or ``MIG-`` names, whichever its first entry is. UUIDs may
            be cut short as long as they are unique.
        partitions: Known ``MIG-`` names; others stand for themselves.

    The list ends at the first invalid entry and a repeated entry leaves nothing: the CUDA programming guide and what
    torch does.
    """
    if declared is None:
        return tuple(listed)
    entries = _entries(declared)
    chosen: list[str] = []
    for entry in entries:
        name = _resolve(entry, listed, partitions)
        if name is None:
            break
        chosen.append(name)
    repeated = len(set(entries)) < len(entries) or len(set(chosen)) < len(chosen)
    return () if repeated else tuple(chosen)


def _entries(declared: str) -> list[str]:
    """Split the variable up to the first entry that is no device at all or of another kind than the first."""
    entries: list[str] = []
    kinds = set()
    for word in map(str.strip, declared.split(",")):
        index, named = _INDEX.match(word), _NAMED.fullmatch(word)
        kinds.add(named[1] if named else "index")
        if not (index or named) or len(kinds) > 1:
            break
        entries.append(str(int(index[1])) if index else word)  # "01", "+1" and "1x" are 1, as strtoul reads them
    return entries


def _resolve(entry: str, listed: Sequence[str], partitions: Sequence[str]) -> str | None:
    if entry.startswith("MIG-"):
        matching = [name for name in partitions if name.startswith(entry)]
        return matching[0] if len(matching) == 1 else entry
    if not listed:
        return entry
    if entry.startswith("GPU-"):
        matching = [name for name in listed if name.startswith(entry)]
        return matching[0] if len(matching) == 1 else None
    return listed[int(entry)] if int(entry) < len(listed) else None


def _partitions(listing: str) -> dict[str, tuple[str, ...]]:
    """Read ``nvidia-smi -L``: the MIG partitions of each GPU that has some."""
    partitions: dict[str, tuple[str, ...]] = {}
    gpu = ""
    for line in listing.splitlines():
        if match := re.match(r"GPU \d+: .*\(UUID: (GPU-[^)]+)\)", line):
            gpu = match[1]
        elif match := re.match(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)", line):
            partitions[gpu] = (*partitions.get(gpu, ()), match[1])
    return partitions


def _rocm_smi_names(answer: Any) -> list[str]:
    """Read ``{"card0": {"Unique ID": "0x…"}, …}``; a card without a unique id goes by its position."""
    cards = [card for card in answer if re.fullmatch(r"card\d+", card)] if isinstance(answer, dict) else []
    names = []
    for position, card in enumerate(sorted(cards, key=lambda card: int(card.removeprefix("card")))):
        unique = answer[card].get("Unique ID") if isinstance(answer[card], dict) else None
        match = re.fullmatch(r"0x([0-9a-fA-F]{1,16})", str(unique))
        names.append(f"GPU-{match[1].lower():0>16}" if match else str(position))
    return names


def _amd_smi_names(answer: Any) -> list[str]:
    """Read ``[{"gpu": 0, "hip_uuid": "GPU-…"}, …]``; a card without a HIP UUID goes by its position."""
    cards = [card for card in answer if isinstance(card, dict) and "gpu" in card] if isinstance(answer, list) else []
    named = [str(card.get("hip_uuid", "")) for card in cards]
    return [name if _NAMED.fullmatch(name) else str(position) for position, name in enumerate(named)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _devices(vendor: VendorName, names: Sequence[str]) -> tuple[Device, ...]:
    return tuple(Device(vendor, name) for name in names)


@cache  # what a machine has does not change while a process runs; which of it is visible may
def _output(seconds: float, program: str | None, *arguments: str) -> str:
    """Return what a program prints, or nothing if it is missing, fails or takes longer than ``seconds``."""
    if program is None:
        return ""
    try:
        process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
    except OSError:
        return ""
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()  # and not waited for: one that hangs in the driver cannot be killed
        return ""
    return printed if process.returncode == 0 else ""
