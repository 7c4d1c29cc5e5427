"""How many tokens prompts and replies take, as far as that can be told without a tokenizer: texts and journals tell."""

import math
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from vlmake.endpoints.spending import Price
from vlmake.errors import VlmakeError
from vlmake.inference.journal import all_predictions
from vlmake.inference.prompts import Frames
from vlmake.inference.questions import messages_of
from vlmake.registry.dataset_entries import DatasetEntry

TOKENS_OF_AN_IMAGE = 1_000
"""Taken for every image that a model is shown; servers count from under 100 to several thousands."""

_LETTERS_A_TOKEN = 4
_REPLIES = 10_000  # as many of a journal tell what replies take
_ROWS = 32  # as many of a benchmark tell what its prompts take
_CJK = re.compile("[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


class Mean(NamedTuple):
    """Tokens of a prompt and of its reply, on average."""

    prompt: float
    completion: float


def text_tokens(text: str) -> int:
    """Return about how many tokens a text has: one a Chinese, Japanese or Korean character, else one in four."""
    wide = 0 if text.isascii() else len(_CJK.findall(text))
    return wide + math.ceil((len(text) - wide) / _LETTERS_A_TOKEN)


def journaled_mean(journals: Iterable[Path]) -> Mean | None:
    """Return what replies took so far, by the servers' own counts; None where no reply has any."""
    replies = (item for folder in journals for item in all_predictions(folder) if item.prompt_tokens is not None)
    count, prompts, completions = 0, 0, 0
    for item in islice(replies, _REPLIES):
        count += 1
        prompts += (item.prompt_tokens or 0) + item.earlier_prompt_tokens
        completions += (item.completion_tokens or 0) + item.earlier_completion_tokens
    return Mean(prompts / count, completions / count) if count else None


def journaled_cost(journals: Iterable[Path], price: Price) -> float:
    """Return what all replies in journals cost."""
    items = (item for folder in journals for item in all_predictions(folder))
    return sum(
        price.of(
            (item.prompt_tokens or 0) + item.earlier_prompt_tokens,
            (item.completion_tokens or 0) + item.earlier_completion_tokens,
        )
        for item in items
    )


def first_rows(samples: Path) -> list[dict[str, Any]]:
    """Return some of a benchmark's decoded rows, its first; none where it is not decoded, or the file is damaged."""
    try:
        with pq.ParquetFile(samples) as file:
            batch = next(file.iter_batches(batch_size=_ROWS), None)
            return [] if batch is None else list(batch.to_pylist())
    except (OSError, ValueError):
        return []


def question_tokens(rows: Iterable[dict[str, Any]], entry: DatasetEntry, frames: Frames) -> float | None:
    """Return what a model's prompts take on average, by decoded rows; None without any, or any that can be asked."""
    try:
        prompts = [messages_of(row, entry, frames) for row in rows]
    except (VlmakeError, KeyError):  # the run itself will say what the rows lack
        return None
    counts = [
        sum(TOKENS_OF_AN_IMAGE if part["type"] == "image" else text_tokens(part["text"]) for part in prompt)
        for prompt in prompts
    ]
    return sum(counts) / len(counts) if counts else None
