"""Generation for prompts that share pictures.

``prefix``: the prompts of a group are the same up to the end of their pictures. That prefix runs once a group; its
cache is repeated for the group's prompts, which go on from there.
``features``: the pictures are encoded once a group, and their features are handed to every prompt of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

from vlmake.backends.groups import Groups, Row, UnfitModelError, UnlikeError, token_tensors
from vlmake.backends.self_check import Answers
from vlmake.errors import counted

if TYPE_CHECKING:
    import torch

Generate = Callable[..., Answers]


def from_prefixes(
    model: Any, generate: Generate, firsts: Mapping[str, Any], groups: Groups, new_tokens: int
) -> Answers:
    """Generate for every row from the cache of its group's prefix.

    Args:
        model: the loaded model.
        generate: its greedy generation, which takes model inputs and returns their answers.
        firsts: the left-padded inputs of one prompt a group, on the model's device.
        groups: the rows, with as many groups as ``firsts`` has rows.
        new_tokens: the longest answer.

    Raises UnfitModelError for a model whose cache cannot be repeated and continued behind padding, and UnlikeError for
    prompts that are too long for that.
    """
    import torch

    prefixes = _cut_ends(firsts, [len(groups.rows[first].after) for first in groups.firsts])
    length = prefixes["input_ids"].shape[1]
    cache = _empty_cache(model, length + max(len(row.after) for row in groups.rows) + new_tokens)
    generate(**prefixes, past_key_values=cache, new_tokens=1)
    if cache.get_seq_length() != length:
        raise UnfitModelError("its cache does not hold one entry a token")
    owners = torch.tensor([row.group for row in groups.rows])  # on the host: layers may lie on several devices
    cache.batch_select_indices(owners)
    _repeat_position_offsets(model, owners)
    ends = _left_padded([row.after for row in groups.rows], prefixes["input_ids"].device)
    return generate(
        input_ids=torch.cat([prefixes["input_ids"][owners], ends["input_ids"]], dim=1),
        attention_mask=torch.cat([prefixes["attention_mask"][owners], ends["attention_mask"]], dim=1),
        past_key_values=cache,
        new_tokens=new_tokens,
    )


def from_features(
    model: Any, generate: Generate, firsts: Sequence[Mapping[str, Any]], groups: Groups, new_tokens: int
) -> Answers:
    """Generate for every row with the features of its group's pictures.

    ``firsts`` are the inputs of one prompt a group, each a batch of one. Raises UnfitModelError for a model that takes
    no encoded pictures.
    """
    encoder = getattr(model.base_model, "get_image_features", None)
    if encoder is None or "mm_encoder_outputs" not in signature(model.forward).parameters:
        raise UnfitModelError(f"{type(model).__name__} takes no encoded pictures")
    wanted = signature(encoder).parameters
    encoded = [
        encoder(**{name: value for name, value in first.items() if name in wanted}, return_dict=True)
        for first in firsts
    ]
    inputs = _joined_rows(firsts, groups)
    inputs |= {
        name: _concatenated([firsts[row.group][name] for row in groups.rows])
        for name in firsts[0]
        if name not in inputs and not name.startswith("pixel")
    }
    features = _merged([encoded[row.group] for row in groups.rows])
    return generate(**inputs, mm_encoder_outputs={"image": features}, new_tokens=new_tokens)


def _cut_ends(inputs: Mapping[str, Any], ends: Sequence[int]) -> dict[str, Any]:
    """Drop the last tokens of every row of left-padded inputs and pad again on the left."""
    lengths = inputs["attention_mask"].sum(dim=1).tolist()
    total = inputs["input_ids"].shape[1]
    kept = [int(length) - end for length, end in zip(lengths, ends, strict=True)]
    width = max(kept)
    cut = dict(inputs)
    for name in token_tensors(inputs):
        tensor = inputs[name]
        # Padding stands at the left of the widest row too when its end was the shortest.
        fresh = tensor.new_zeros((len(kept), width))
        for row, (length, end) in enumerate(zip(kept, ends, strict=True)):
            fresh[row, width - length :] = tensor[row, total - end - length : total - end]
        cut[name] = fresh
    return cut


def _empty_cache(model: Any, tokens: int) -> Any:
    """Return a cache that holds every one of ``tokens``; raise for a model that has no such cache.

    A sliding window that is full counts padding as tokens, and a recurrent state swallows it, so behind padded prefixes
    neither gives what a whole prompt gives.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    if not cache.layers or any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
        raise UnfitModelError("not all of its layers keep keys and values")
    windows = [layer.sliding_window for layer in cache.layers if isinstance(layer, DynamicSlidingWindowLayer)]
    if windows and tokens >= min(windows):
        raise UnlikeError(f"a prompt of {counted(tokens, 'token')} does not fit its window of {min(windows)}")
    return cache


def _repeat_position_offsets(model: Any, owners: torch.Tensor) -> None:
    """Give every row its group's offset of text positions, which models with 3-D positions keep on themselves."""
    holder = model.base_model
    if getattr(holder, "rope_deltas", None) is not None:
        holder.rope_deltas = holder.rope_deltas[owners]


def _left_padded(rows: Sequence[Sequence[int]], device: Any) -> dict[str, Any]:
    import torch

    width = max(len(row) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for place, row in enumerate(rows):
        if row:
            ids[place, width - len(row) :] = torch.tensor(row)
            mask[place, width - len(row) :] = 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def _joined_rows(firsts: Sequence[Mapping[str, Any]], groups: Groups) -> dict[str, Any]:
    """Put together the tokens of every row: its own beginning and end, and its group's pictures between them."""
    import torch

    names = token_tensors(firsts[0])
    joined: dict[str, list[Any]] = {name: [] for name in names}
    for row in groups.rows:
        first, owner = firsts[row.group], groups.rows[groups.firsts[row.group]]
        for name in names:
            joined[name].append(_joined(first[name][0], row, owner, own_ids=name == "input_ids"))
    width = max(len(tokens) for tokens in joined["input_ids"])
    return {
        name: torch.stack([torch.nn.functional.pad(tokens, (width - len(tokens), 0)) for tokens in rows])
        for name, rows in joined.items()
    }


def _joined(tokens: torch.Tensor, row: Row, first: Row, *, own_ids: bool) -> torch.Tensor:
    """Return one row of an input that holds a number a token.

    Outside the pictures all but the ids have one and the same value, which is taken from the first prompt's ends.
    """
    middle = tokens[len(first.before) : len(tokens) - len(first.after)]
    ends = (row.before, row.after)
    if own_ids:
        before, after = (tokens.new_tensor(end, dtype=tokens.dtype) for end in ends)
    else:
        outside = tokens[-1] if first.after else tokens[0]
        before, after = (outside.expand(len(end)) for end in ends)
    joined: torch.Tensor = _concatenated([before, middle, after])
    return joined


def _concatenated(tensors: Sequence[Any]) -> Any:
    import torch

    return torch.cat(list(tensors), dim=0)


def _merged(outputs: Sequence[Any]) -> Any:
    """Return one encoder output that holds the features of all the given ones, in order."""
    first = outputs[0]
    merged = {name: first[name] for name in first if name not in ("last_hidden_state", "hidden_states", "attentions")}
    merged["pooler_output"] = _joined_features([output.pooler_output for output in outputs])
    if merged.get("deepstack_features") is not None:
        layers = range(len(first["deepstack_features"]))
        merged["deepstack_features"] = [
            _joined_features([output["deepstack_features"][layer] for output in outputs]) for layer in layers
        ]
    return type(first)(**merged)


def _joined_features(features: Sequence[Any]) -> Any:
    if isinstance(features[0], list | tuple):
        return [tensor for listed in features for tensor in listed]
    return _concatenated(features)
