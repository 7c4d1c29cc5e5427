"""An entry that takes another backend than the one it starts from: what was said about the earlier one ends."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlmake.backends.registry import BACKENDS
from vlmake.registry.layers import Draft
from vlmake.registry.model_entries import ModelEntry, TransformersEntry


def without_other_backends_keys(draft: Draft, kind: type[ModelEntry]) -> Draft:
    """Return a model's draft without what its earlier layers said about a backend that it has no more.

    Keys of other backends go, and so do limits of the image processor, which only the backend ``transformers`` has. A
    layer that gives the backend, or is the last, has to fit itself: its keys stay, to be refused by their names.
    """
    bound = {draft.given_by.get("backend"), draft.where}
    if "backend" not in draft.values:
        return draft
    others = {key for other in BACKENDS.values() for key in other.entry.model_fields} - kind.model_fields.keys()
    if not issubclass(kind, TransformersEntry):
        others.add("pixels")
    earlier = {key for key in draft.values if draft.given_by.get(key) not in bound}
    kept = {key: value for key, value in draft.values.items() if key not in others & earlier}
    rules = kept.get("benchmarks")
    if "pixels" in others and "benchmarks" in earlier and isinstance(rules, list):
        kept["benchmarks"] = [_without_pixels(rule) for rule in rules]
    return replace(draft, values=kept)


def _without_pixels(rule: Any) -> Any:
    return {key: value for key, value in rule.items() if key != "pixels"} if isinstance(rule, Mapping) else rule
