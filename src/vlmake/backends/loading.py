"""A checkpoint's weights, loaded as its registry entry says."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vlmake.model_spec import ModelSpec, RuntimeOptions


def load_model(spec: ModelSpec, runtime: RuntimeOptions) -> Any:
    """Return the model, ready to generate on its device; raise VlmakeError with the reason if that is impossible."""
    import torch
    from transformers import AutoModelForImageTextToText

    _quieten()
    if runtime.device == "cpu":
        torch.set_num_threads(runtime.threads)
    entry = spec.entry
    try:
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            spec.folder,
            dtype=getattr(torch, spec.dtype),
            attn_implementation=None if entry.attention == "auto" else entry.attention,
            trust_remote_code=entry.trust_remote_code,
            output_loading_info=True,
        )
        model, report = loaded
        _refuse_random_weights(report)
        return model.to(runtime.device).eval()
    except VlmakeError:
        raise
    except Exception as error:  # libraries raise anything for a damaged checkpoint or a missing device
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VlmakeError(f"model '{spec.name}' at {spec.folder} cannot be loaded: {reason}") from error


def _refuse_random_weights(report: Mapping[str, Any]) -> None:
    """Raise for tensors that the checkpoint lacks: the library would fill them with random numbers."""
    for fault in ("missing_keys", "mismatched_keys"):
        if names := sorted(str(name) for name in report[fault]):
            raise ValueError(f"{len(names)} tensors are {fault.split('_')[0]} in its weights, the first is {names[0]}")


def _quieten() -> None:
    """Keep the libraries' advice and loading bars out of the log; their errors still come as exceptions."""
    logging: Any = import_module("transformers").logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
