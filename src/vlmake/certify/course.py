"""The course of a certification: the original answers all prompts and ends, then the converted model does."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vlmake.certify.comparison import Row, Rules, compare
from vlmake.certify.prompts import Prompt
from vlmake.certify.sides import Converted, run_original, write_job
from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
from vlmake.runs.progress import progress

_NOISE_PROMPTS = 5  # in half precision, neighbours among the first so many prompts share a batch of the original


@dataclass(frozen=True)
class Outcome:
    """The rules that the numbers came to, every prompt's comparison, and facts of both sides."""

    rules: Rules
    rows: Sequence[Row]
    original: Mapping[str, Any]
    converted: Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """How both sides run. ``transformers`` is the accepted range of the original's, None for any."""

    dtype: str
    device: Literal["cpu", "cuda", "npu"]
    device_map: str | None
    threads: int
    max_new_tokens: int
    transformers: tuple[str, str] | None


def compare_sides(
    spec: TransformersSpec,
    published: Path,
    python: Path,
    prompts: Sequence[Prompt],
    settings: Settings,
    lent: Mapping[str, str],
    scratch: Path,
) -> Outcome:
    """Ask both sides every prompt, one side after the other, so that only one model is in memory at a time.

    Args:
        spec: The converted model.
        published: The checkpoint that it was converted from.
        python: The original's interpreter.
        prompts: What is asked.
        settings: How.
        lent: Environment variables that restrict a process to the leased devices.
        scratch: An empty folder for what the original leaves behind.

    Raises VlmakeError where a side cannot be run.
    """
    job = asdict(settings) | {"noise_prompts": 0 if settings.dtype == "float32" else _NOISE_PROMPTS}
    write_job(scratch, published, prompts, job)
    with progress(f"{spec.name} as published", len(prompts), 0) as advance:
        original = run_original(python, scratch, lent, settings.threads, advance)
    rules = Rules(settings.dtype, original.facts["noise"])
    converted = Converted(spec, RuntimeOptions(settings.device, settings.threads))
    rows = []
    with progress(f"{spec.name} as converted", len(prompts), 0) as advance:
        for number, prompt in enumerate(prompts):
            seen = converted.seen(prompt, settings.max_new_tokens)
            rows.append(compare(prompt.name, original.seen(number), seen, rules))
            advance(1)
    return Outcome(rules, rows, original.facts, converted.facts())
