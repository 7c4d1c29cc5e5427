"""Rows and images → predictions of one shard, through the journal that keeps every answer the moment it exists."""

from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

import click

from vlmake.inference import predictions, run_record
from vlmake.inference.endpoint_turns import turn
from vlmake.inference.journal import settle_epoch
from vlmake.inference.loaded_model import answer_shard, has_unleased_engine, open_model
from vlmake.inference.shard import prediction_rows, refuse_failures
from vlmake.inference.shard_work import ShardFiles, hold_rows, read_shard, try_hold_rows
from vlmake.inference.work_ahead import read_plan, started_ns, work_ahead
from vlmake.models import model_spec
from vlmake.models.model_spec import benchmark_settings
from vlmake.paths import parse_dataset
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.run_config import ImageRoundtrip
from vlmake.runs.specs import prompt_spec, roundtrip_spec
from vlmake.runs.stage_options import FILE, REGISTRY


@click.command()
@REGISTRY
@click.option("--model", required=True, help="Registered model.")
@click.option("--dataset", required=True, help="Registered dataset, with its row limit if any.")
@click.option("--samples", type=FILE, required=True, help="Decoded rows.")
@click.option("--images", type=FILE, required=True, help="Decoded images.")
@click.option("--checkpoint", type=FILE, help="The pinned checkpoint; located anew where there is none.")
@click.option("--journal", type=FILE, required=True, help="Folder of all answers so far.")
@click.option("--shard", type=int, default=0, show_default=True, help="Number of this shard, from 0.")
@click.option("--shards", type=int, default=1, show_default=True, help="Number of shards.")
@click.option("--max-failures", type=int, default=0, show_default=True, help="Failed samples that may stay.")
@click.option("--image-roundtrip", type=click.Choice(["off", "vlmevalkit"]), default="off", help="Form of images.")
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads for a model on the CPU.")
@click.option("--planned", type=FILE, help="Shards of this run; those of the same model are answered as well.")
@click.option("--output", type=FILE, help="The shard's predictions, to be merged.")
@click.option("--predictions", "whole", type=FILE, help="All predictions, where there is one shard.")
@click.option("--timing", type=FILE, help="Seconds of each prediction, where there is one shard.")
def infer(
    registries: tuple[Path, ...],
    model: str,
    dataset: str,
    samples: Path,
    images: Path,
    checkpoint: Path | None,
    journal: Path,
    shard: int,
    shards: int,
    max_failures: int,
    image_roundtrip: ImageRoundtrip,
    threads: int,
    planned: Path | None,
    output: Path | None,
    whole: Path | None,
    timing: Path | None,
) -> None:
    """Rows and images → predictions of one shard, through the journal that keeps every answer the moment it exists."""
    registry = load_registry(registries)
    spec = model_spec.resolve(model, registry.model(model), checkpoint)
    own = ShardFiles(dataset, shard, shards, samples, images, journal)
    started = started_ns(planned) if planned else None
    unleased = has_unleased_engine(spec.entry)
    with ExitStack() as stack:
        if unleased:  # before it keeps rows: the job whose engine runs answers these as well
            stack.enter_context(turn(spec))
        opened = cache(partial(open_model, spec, threads, started, stack, has_turn=unleased))
        with hold_rows(own, model):
            work = read_shard(own, spec, registry.dataset(dataset), image_roundtrip)
            answer_shard(work, work.todo(started), spec, opened)
        answers = work.answers()
        imported = work.asking.looked_up_in is not None
        refuse_failures(work.questions, answers, max_failures, f"{model} on {dataset}", imported=imported)
        here = benchmark_settings(spec.entry, parse_dataset(dataset).base, registry.dataset(dataset))
        made_by = spec.describe() | {
            "dataset": dataset,
            "prompt": prompt_spec(registry.dataset(dataset), here) | roundtrip_spec(image_roundtrip),
            "generation": work.asking.generation(),
        }
        table = predictions.shard_table(prediction_rows(work.questions, answers), work.positions, made_by)
        if output is not None:
            predictions.write_shard(table, output)
        if whole is not None and timing is not None:
            predictions.write_predictions([table], whole, timing, run_record.read_records(journal, dataset))
            settle_epoch(journal, dataset)
        if planned is not None and opened.cache_info().currsize:

            def answer_other(files: ShardFiles) -> None:
                other = read_shard(files, spec, registry.dataset(files.dataset), image_roundtrip)
                answer_shard(other, other.untried(), spec, opened)

            work_ahead(read_plan(planned, model, ShardFiles), own, try_hold_rows, answer_other)


if __name__ == "__main__":
    run_program("infer", infer)
