"""The backends by name: a new one is a module with ``load``, its entry's keys, and a line here."""

from dataclasses import dataclass

from vlmake.registry.model_entries import (
    EndpointEntry,
    ModelEntry,
    PluginEntry,
    ReplayEntry,
    ServerEntry,
    TransformersEntry,
)


@dataclass(frozen=True)
class BackendEntry:
    """A backend: its module, the keys of its models, and what its answers come from.

    ``version`` is raised by hand, only when the backend's answers really change: it is part of every prediction's key.
    ``libraries`` are the distributions whose versions a predictions file names.
    """

    module: str
    entry: type[ModelEntry]
    version: int = 1
    libraries: tuple[str, ...] = ()


BACKENDS = {
    "transformers": BackendEntry("vlmake.backends.transformers", TransformersEntry, 1, ("torch", "transformers")),
    "replay": BackendEntry("vlmake.backends.replay", ReplayEntry),
    "endpoint": BackendEntry("vlmake.backends.endpoint", EndpointEntry),
    "server": BackendEntry("vlmake.backends.server", ServerEntry),
    "plugin": BackendEntry("vlmake.backends.plugin", PluginEntry),
}
