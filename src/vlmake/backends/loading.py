"""A checkpoint's weights, loaded as its registry entry says: number format, quantisation, adapters, devices."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlmake.backends import adapters, device_maps, older_transformers, quantization
from vlmake.errors import VlmakeError, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vlmake.models.model_spec import RuntimeOptions, TransformersSpec


def load_model(spec: TransformersSpec, runtime: RuntimeOptions) -> Any:
    """Return the model, ready to generate on its devices; raise VlmakeError with the reason if that is impossible."""
    _refuse_combinations(spec)
    adapters.require_adapters(spec.name, spec.adapters)
    quantization.require_libraries(spec, runtime.device)
    if spec.entry.device_map:
        quantization.require_packages(f"model '{spec.name}': device_map", ["accelerate"])
    if spec.entry.tensor_parallel:
        from vlmake.backends.tensor_parallel import load

        return load(spec, runtime)
    return read_weights(spec, runtime, _placement(spec, runtime.device))


def read_weights(spec: TransformersSpec, runtime: RuntimeOptions, placement: Mapping[str, Any]) -> Any:
    """Return the model as the library loads it with ``placement``, its arguments that say where the weights go.

    Without a placement they go to the runtime's device. Raises VlmakeError.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    _quieten()
    if runtime.device == "cpu":
        torch.set_num_threads(runtime.threads)
    entry = spec.entry
    try:
        settings = quantization.bitsandbytes_settings(spec)
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            spec.folder,
            attn_implementation=None if entry.attention == "auto" else entry.attention,
            trust_remote_code=entry.trust_remote_code,
            output_loading_info=True,
            **older_transformers.number_format(getattr(torch, spec.dtype)),
            **({"quantization_config": settings} if settings is not None else {}),
            **placement,
        )
        model, report = loaded
        _refuse_random_weights(report)
        if entry.device_map:
            device_maps.refuse_offload(model, runtime.device)
        if _is_quantized(spec):
            quantization.refuse_other_dtype(model, spec.dtype)
            quantization.refuse_unfit_layers(model, runtime.device)
        if not placement:
            model = model.to(runtime.device)
        return adapters.lay_over(model, spec.adapters, merge=not _is_quantized(spec)).eval()
    except VlmakeError:
        raise
    except Exception as error:  # libraries raise anything for a damaged checkpoint or a missing device
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VlmakeError(f"model '{spec.name}' at {spec.folder} cannot be loaded: {reason}") from error


def loading_facts(model: Any, spec: TransformersSpec) -> dict[str, Any]:
    """Return how the weights were loaded: only what differs from plain weights on one device."""
    facts: dict[str, Any] = {}
    if quantized := quantization.quantization_facts(model):
        facts["quantization"] = quantized
    if spec.adapters:
        how = "beside the quantised weights" if quantized else "merged"
        facts["adapters"] = {"count": len(spec.adapters), "laid": how}
    if spec.entry.device_map:
        facts["device_map"] = {"asked": spec.entry.device_map, "gigabytes": device_maps.device_map_facts(model)}
    if spec.entry.tensor_parallel:
        from vlmake.backends.tensor_parallel import tensor_parallel_facts

        facts["tensor_parallel"] = tensor_parallel_facts(model)
    return facts


def _refuse_combinations(spec: TransformersSpec) -> None:
    """Raise for settings that no library combines; each works without the others."""
    entry = spec.entry
    if not entry.tensor_parallel:
        return
    quantized = entry.load_in_8bit or entry.load_in_4bit
    for name, taken in (("load_in_8bit and load_in_4bit", quantized), ("adapters", bool(spec.adapters))):
        if taken:
            raise VlmakeError(f"model '{spec.name}': tensor_parallel does not go with {name}; use device_map instead")


def _placement(spec: TransformersSpec, device: str) -> dict[str, Any]:
    if spec.entry.device_map:
        return {"device_map": device_maps.wanted_map(spec.entry.device_map, device)}
    if _is_quantized(spec):  # quantised weights are made on their device and cannot move
        return {"device_map": {"": device if device == "cpu" else f"{device}:0"}}
    return {}


def _is_quantized(spec: TransformersSpec) -> bool:
    entry = spec.entry
    return entry.load_in_8bit or entry.load_in_4bit or quantization.stored_method(spec.folder) is not None


def _refuse_random_weights(report: Mapping[str, Any]) -> None:
    """Raise for tensors that the checkpoint lacks: the library would fill them with random numbers."""
    for fault in ("missing_keys", "mismatched_keys"):
        if names := sorted(str(name) for name in report[fault]):
            raise ValueError(
                f"{fault.split('_')[0]} in its weights: {counted(len(names), 'tensor')}, the first is {names[0]}"
            )


def _quieten() -> None:
    """Keep the libraries' advice and loading bars out of the log; their errors still come as exceptions."""
    logging: Any = import_module("transformers").logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
