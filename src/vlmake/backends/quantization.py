"""Weights in fewer bits: quantised while they are loaded (bitsandbytes), or stored so in the checkpoint."""

from __future__ import annotations

import json
import logging
import re
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from vlmake.models.model_spec import TransformersSpec

# Modules that transformers imports for weights stored by a method, and the packages that hold them.
_METHOD_MODULES: dict[str, tuple[str, ...]] = {
    "awq": ("gptqmodel", "accelerate"),
    "gptq": ("gptqmodel", "optimum", "accelerate"),
    "bitsandbytes": ("bitsandbytes", "accelerate"),
    "compressed-tensors": ("compressed_tensors", "accelerate"),
    "fp8": ("accelerate",),
}
_PACKAGES = {"compressed_tensors": "compressed-tensors"}
_LINEAR_WEIGHTS = ("weight", "qweight", "weight_packed")


def stored_method(folder: Path) -> str | None:
    """Return the method by which the checkpoint's weights are stored quantised, None for plain weights.

    A configuration that cannot be read has none here: the library that loads it says what is wrong with it.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    settings = config.get("quantization_config") if isinstance(config, dict) else None
    if not isinstance(settings, dict):
        return None
    method = settings.get("quant_method")
    if method is None and (settings.get("load_in_8bit") or settings.get("load_in_4bit")):
        return "bitsandbytes"
    return str(method)


def automatic_dtype(folder: Path, device: str) -> str:
    """Return the number format that ``dtype: auto`` stands for: AWQ's kernels on GPUs know float16 only."""
    if device == "cpu":
        return "float32"
    return "float16" if stored_method(folder) == "awq" else "bfloat16"


def require_libraries(spec: TransformersSpec, device: str) -> None:
    """Raise VlmakeError where the weights need a package that is not installed, or have no kernel for the device."""
    entry, stored = spec.entry, stored_method(spec.folder)
    asked = "load_in_8bit" if entry.load_in_8bit else "load_in_4bit" if entry.load_in_4bit else None
    if asked and stored:
        raise VlmakeError(f"model '{spec.name}': its weights are already quantised ({stored}); drop {asked}")
    method = "bitsandbytes" if asked else stored
    if method is None:
        return
    require_packages(f"model '{spec.name}': {asked or f'{method} weights'}", _METHOD_MODULES.get(method, ()))
    if method == "bitsandbytes":
        _require_kernel(spec.name, asked or "bitsandbytes weights", device)


def require_packages(what: str, modules: Iterable[str]) -> None:
    """Raise VlmakeError that ``what`` needs packages, if any of their modules is missing here."""
    if missing := [_PACKAGES.get(module, module) for module in modules if find_spec(module) is None]:
        raise VlmakeError(f"{what} needs {' and '.join(missing)}: pip install {' '.join(missing)}")


def bitsandbytes_settings(spec: TransformersSpec) -> Any:
    """Return the library's settings for ``load_in_8bit`` and ``load_in_4bit``; None where the entry asks for neither.

    4-bit products are computed in the model's own number format, where the library would take float32.
    """
    entry = spec.entry
    if not (entry.load_in_8bit or entry.load_in_4bit):
        return None
    settings: Any = import_module("transformers").BitsAndBytesConfig
    if entry.load_in_8bit:
        return settings(load_in_8bit=True)
    return settings(load_in_4bit=True, bnb_4bit_compute_dtype=spec.dtype)


def refuse_unfit_layers(model: Any, device: str) -> None:
    """Raise ValueError for 4-bit layers that bitsandbytes packs wrongly for a CPU: rows must be whole blocks."""
    if device != "cpu":
        return
    for name, module in model.named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None and state.shape[-1] % state.blocksize:
            raise ValueError(
                f"bitsandbytes has no 4-bit kernel on a CPU for {name}: its rows of {state.shape[-1]} numbers are not "
                f"whole blocks of {state.blocksize}; use load_in_8bit or a GPU"
            )


def refuse_other_dtype(model: Any, asked: str) -> None:
    """Raise ValueError where the library runs a quantised model in another number format than it was asked for."""
    taken = str(model.config.dtype).removeprefix("torch.")
    if taken != asked:
        raise ValueError(
            f"its quantised weights run in {taken} here, not in {asked}: set `dtype: {taken}` in its entry"
        )


def quantization_facts(model: Any) -> dict[str, Any]:
    """Return the method, its settings, how many linear layers it holds, and those that stayed as they were.

    Numbers of layers are written as ``*``. Empty for plain weights.
    """
    settings = getattr(model.config, "quantization_config", None)
    if settings is None:
        return {}
    values = settings if isinstance(settings, dict) else settings.to_dict()
    linear = {name: type(module).__name__ for name, module in model.named_modules() if _is_linear(module)}
    kept = [name for name, kind in linear.items() if kind == "Linear"]
    return {
        "method": str(getattr(values.get("quant_method"), "value", values.get("quant_method"))),
        "settings": {key: value for key, value in sorted(values.items()) if _is_told(key, value)},
        "quantized_layers": len(linear) - len(kept),
        # 8-bit products treat a column apart when any row of the batch has a large number in it.
        "answers_depend_on_batch": bool(values.get("load_in_8bit") and values.get("llm_int8_threshold")),
        "kept": sorted({re.sub(r"\.\d+(?=\.|$)", ".*", name) for name in kept}),
    }


def _require_kernel(name: str, what: str, device: str) -> None:
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it repeats its casts in every layer of every batch
    try:
        bitsandbytes = import_module("bitsandbytes")
    except (ImportError, OSError, RuntimeError) as error:  # its compiled half does not fit this machine
        raise VlmakeError(f"model '{name}': {what}: bitsandbytes cannot be imported here: {error}") from error
    if device not in bitsandbytes.supported_torch_devices:
        raise VlmakeError(f"model '{name}': {what}: this bitsandbytes has no kernel for '{device}'")


def _is_linear(module: Any) -> bool:
    """Tell whether a module without parts multiplies by a matrix, in whichever form that is stored."""
    if next(module.children(), None) is not None or not hasattr(module, "in_features"):
        return False
    return any(getattr(module, weight, None) is not None for weight in _LINEAR_WEIGHTS)


def _is_told(key: str, value: Any) -> bool:
    """Tell whether a setting says something: neither absent, nor private, nor another name of the method."""
    return key != "quant_method" and not key.startswith("_") and isinstance(value, str | int | float | list)
