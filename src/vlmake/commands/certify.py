"""``vlmake certify``: is a converted model the model that was published?"""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from vlmake import paths
from vlmake.devices import gpus
from vlmake.errors import VlmakeError, counted
from vlmake.models import checkpoints, model_spec
from vlmake.models.model_spec import TransformersSpec
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import TransformersEntry
from vlmake.registry.own_benchmarks import known_registry
from vlmake.runs.run_config import RunConfig, config_files, load_config
from vlmake.store import canonical_json, write_text

FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("model")
@click.option("--python", type=click.Path(path_type=Path), help="The original's interpreter.")
@click.option("--make-environment", is_flag=True, help="Make the original's environment from its pinned list.")
@click.option("--any-version", is_flag=True, help="Take any transformers for the original, not only the known ones.")
@click.option(
    "--data", "--dataset", "dataset", help="Ask the first samples of this decoded benchmark instead of drawn prompts."
)
@click.option("--samples", type=click.IntRange(min=1), default=50, show_default=True, help="How many prompts.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="What the prompts are drawn by.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=32, show_default=True, help="Longest answer.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Number format of both sides; only float32 is compared exactly.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "npu"]), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of each side; else all that are there.")
@click.option("--work-dir", type=FOLDER, default=Path(), help="Where certify/ and data/ lie.")
@click.option("--registry", multiple=True, type=FOLDER, help="Another registry folder.")
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    python: Path | None,
    make_environment: bool,
    any_version: bool,
    dataset: str | None,
    samples: int,
    seed: int,
    max_new_tokens: int,
    dtype: str,
    device: str,
    threads: int | None,
    work_dir: Path,
    registry: tuple[Path, ...],
) -> None:
    """Compare a converted model with the code that it was published with, on the same prompts.

    The original runs first, in an interpreter and a process of its own: Python code that comes with the checkpoint is
    executed there. Compared are token ids, image tiles, first logits and greedy answers. Exit code 0: no rule is
    broken; 1: some are. The numbers are kept in certify/MODEL.json.
    """
    from vlmake.certify import environment
    from vlmake.certify.certificate import certificate, certified, print_table
    from vlmake.certify.course import Settings, compare_sides

    config = load_config({}, config_files())
    known = known_registry(config, registry, [dataset] if dataset else [], work_dir)
    name = known.resolve_model(model)
    registered = known.models[name]
    if not isinstance(registered, TransformersEntry):
        raise VlmakeError(f"model '{name}' is no checkpoint that transformers runs: there is nothing to compare")
    entry, converter = _as_compared(name, registered, dtype, device)
    interpreter = environment.find_python(environment.requirements_file(converter), python, make_environment)
    asked: dict[str, Any] = {"samples": samples, "max_new_tokens": max_new_tokens}
    asked |= {"dataset": known.resolve_dataset(dataset)} if dataset else {"drawn_by_seed": seed}
    prompts = _prompts(asked, known, config, entry, work_dir)
    target = work_dir / paths.certificate(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lease = stack.enter_context(gpus.lease(0 if device == "cpu" else entry.gpus, f"certify {name}"))
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # both sides: float32 rounded to ten bits would hide differences
        gpus.apply(lease)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent)))
        located = _locate(name, entry, config, work_dir)
        write_text(scratch / "checkpoint.json", checkpoints.record(located))
        spec = model_spec.resolve(name, entry, scratch / "checkpoint.json")
        assert isinstance(spec, TransformersSpec)  # the entry's kind decides it
        outcome = compare_sides(
            spec,
            located.source.folder,
            interpreter,
            prompts,
            Settings(
                dtype=dtype,
                device=model_spec.choose_device(entry),
                device_map=entry.device_map or ("auto" if entry.tensor_parallel else None),
                threads=threads or len(os.sched_getaffinity(0)),
                max_new_tokens=max_new_tokens,
                transformers=None if any_version else environment.PUBLISHED[converter].transformers,
            ),
            lease.environment,
            scratch,
        )
    write_text(target, canonical_json(certificate(name, located.identity, asked, outcome)) + "\n")
    print_table(outcome.rows)
    click.echo(f"{name}, {located.identity}")
    if not certified(outcome.rows):
        faults = ", ".join(dict.fromkeys(fault for row in outcome.rows for fault in row.faults))
        broken = sum(bool(row.faults) for row in outcome.rows)
        click.echo(
            f"not certified in {dtype}: {broken} of {counted(len(prompts), 'prompt')} differ in {faults}; see {target}"
        )
        ctx.exit(1)
    click.echo(f"certified in {dtype} on {counted(len(prompts), 'prompt')}; see {target}")


def _as_compared(name: str, entry: TransformersEntry, dtype: str, device: str) -> tuple[TransformersEntry, str]:
    """Return the entry as it is compared, unquantised, and its converter; raise VlmakeError without a converter."""
    if entry.converter is None:
        raise VlmakeError(f"model '{name}' is not converted: it runs in a native class as it was published")
    if entry.adapters:
        raise VlmakeError(f"model '{name}' has adapters: certify the model that they are laid over")
    changes: dict[str, Any] = {"dtype": dtype, "load_in_8bit": False, "load_in_4bit": False, "environment": ()}
    if device != "auto":
        changes["device"] = device
    compared = entry.model_copy(update=changes)
    if model_spec.choose_device(compared) == "cpu":
        compared = compared.model_copy(update={"device_map": None, "tensor_parallel": False})
    return compared, entry.converter


def _prompts(
    asked: dict[str, Any], known: Registry, config: RunConfig, entry: TransformersEntry, work_dir: Path
) -> list[Any]:
    from vlmake.certify.prompts import dataset_prompts, drawn_prompts

    if "dataset" not in asked:
        return drawn_prompts(asked["samples"], asked["drawn_by_seed"], entry.pixels.model_dump(exclude_none=True))
    base = paths.parse_dataset(asked["dataset"]).base
    samples, images = paths.samples(base, config.data_dir), paths.images(base, config.data_dir)
    for file in (samples, images):
        if not (work_dir / file).is_file():
            raise VlmakeError(f"{work_dir / file} is not there: make it by `vlmake {samples}` in {work_dir.absolute()}")
    settings = model_spec.benchmark_settings(entry, base, known.datasets[base])
    return dataset_prompts(work_dir / samples, work_dir / images, known.datasets[base], settings, asked["samples"])


def _locate(name: str, entry: TransformersEntry, config: RunConfig, work_dir: Path) -> checkpoints.Checkpoint:
    """Return the checkpoint that evaluations in this folder are pinned to, else the one that they would take."""
    pinned = work_dir / paths.checkpoint(name, config.data_dir)
    if pinned.is_file():
        return checkpoints.read(pinned, name)
    return checkpoints.locate(name, entry, config.hub, checkpoints.model_cache(config.model_cache))
