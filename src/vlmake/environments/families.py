"""Which environment a published family of models needs: a table, with one reason where there can be none."""

from collections.abc import Mapping
from dataclasses import dataclass

from vlmake.environments.locks import lock_folder
from vlmake.registry.layers import read_yaml


@dataclass(frozen=True)
class Family:
    """A family of models: the transformers it was published with, and an environment's name or why there is none."""

    transformers: str
    environment: str | None = None
    reason: str | None = None


def families() -> Mapping[str, Family]:
    """Return the families that are named by the users' guide of VLMEvalKit, in its order."""
    listed = read_yaml(lock_folder() / "families.yaml")["families"]
    return {name: Family(**values) for name, values in listed.items()}
