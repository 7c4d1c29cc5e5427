"""Backends: messages become text. Each is a module with ``load``; none is imported before its use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlmake.backends.base import Backend
    from vlmake.models.model_spec import ModelSpec, RuntimeOptions

MODULES = {"transformers": "vlmake.backends.transformers", "replay": "vlmake.backends.replay"}


def load(spec: ModelSpec, runtime: RuntimeOptions) -> Backend:
    """Import the backend that the spec names and load its model; raise VlmakeError if it cannot be loaded."""
    loaded: Backend = import_module(MODULES[spec.entry.backend]).load(spec, runtime)
    return loaded
