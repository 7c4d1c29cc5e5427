"""Backends: messages become text. Each is a module with ``load``; none is imported before its use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlmake.backends.base import Backend, StreamingBackend
    from vlmake.models.model_spec import ModelSpec, RuntimeOptions


def load(spec: ModelSpec, runtime: RuntimeOptions) -> Backend | StreamingBackend:
    """Import the backend that the spec names and load its model; raise VlmakeError if it cannot be loaded."""
    from vlmake.backends.registry import BACKENDS

    loaded: Backend | StreamingBackend = import_module(BACKENDS[spec.entry.backend].module).load(spec, runtime)
    return loaded
