"""PEFT adapters laid over a model's weights.

Over plain weights an adapter is merged: the model stays one of its own class, as fast as without, and everything that
the backend does with it works as before. Quantised weights cannot take a merge without rounding it to their few bits,
so there the adapters stay beside the weights; the layers that carry them are put into the model in place.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlmake.backends.quantization import require_packages
from vlmake.errors import VlmakeError, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

_WEIGHTS = "adapter_model.safetensors"


def require_adapters(name: str, folders: Sequence[Path]) -> None:
    """Raise VlmakeError where peft is missing, or where an adapter's weights are a pickle or are not there."""
    if not folders:
        return
    require_packages(f"model '{name}': adapters", ["peft"])
    for folder in folders:
        if not (folder / _WEIGHTS).is_file():
            pickled = sorted(file.name for file in folder.glob("adapter_model.*"))
            found = f"only {pickled[0]}, a pickle; save the adapter again as safetensors" if pickled else "none"
            raise VlmakeError(f"model '{name}': adapter {folder} needs {_WEIGHTS}, there is {found}")


def lay_over(model: Any, folders: Sequence[Path], *, merge: bool) -> Any:
    """Return the model with the adapters over its weights, in order.

    Args:
        model: The loaded model, in place on its device.
        folders: Adapter folders with safetensors.
        merge: Add them to the weights; else they stay beside them, and all must be of one kind.

    Raises ValueError, or what peft raises, for an adapter that was made for another model.
    """
    if not merge:
        return _beside(model, folders)
    for folder in folders:
        laid = _load(model, folder, _name(0))
        model = laid.merge_and_unload(safe_merge=True)
    return model


def _beside(model: Any, folders: Sequence[Path]) -> Any:
    if not folders:
        return model
    names = [_name(number) for number in range(len(folders))]
    laid = _load(model, folders[0], names[0])
    for folder, name in zip(folders[1:], names[1:], strict=True):
        _refuse_other_keys(folder, laid.load_adapter(str(folder), name, torch_device=str(model.device)))
    laid.base_model.set_adapter(names)
    laid.requires_grad_(False)
    return laid.get_base_model()


def _name(number: int) -> str:
    """Return a name that is part of no tensor's name and of no other adapter's: peft searches for it."""
    return f"vlmake{number:03d}"


def _load(model: Any, folder: Path, name: str) -> Any:
    """Return the model wrapped by one adapter."""
    from peft import PeftConfig, PeftModel

    config = PeftConfig.from_pretrained(str(folder))
    if config.is_prompt_learning:
        raise ValueError(f"adapter {folder} is of type {config.peft_type}, which is no change of weights")
    config.inference_mode = True
    try:
        laid = PeftModel(model, config, name)
        report = laid.load_adapter(str(folder), name, torch_device=str(model.device))
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"adapter {folder} does not fit: {error}") from error
    _refuse_other_keys(folder, report)
    return laid


def _refuse_other_keys(folder: Path, report: Any) -> None:
    for fault, keys in (("lacks", report.missing_keys), ("adds", report.unexpected_keys)):
        if keys:
            raise ValueError(
                f"adapter {folder} was made for another model: it {fault}"
                f" {counted(len(keys), 'tensor')}, the first is {min(keys)}"
            )
