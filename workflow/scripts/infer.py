"""Rows and images → predictions of one shard, through the journal that keeps every answer the moment it exists."""

from pathlib import Path

import click

from vlmake import backends, model_spec, predictions
from vlmake.images import ImageStore
from vlmake.inference import Asking, accepted_predictions, answer, prediction_rows, refuse_failures, unanswered
from vlmake.journal import JournalWriter, epoch_of, settle_epoch
from vlmake.locks import hold
from vlmake.paths import parse_dataset
from vlmake.planning import prompt_spec
from vlmake.program import run_program
from vlmake.progress import progress
from vlmake.questions import read_questions
from vlmake.registry import load_registry

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--registry", "registries", type=FILE, multiple=True, required=True, help="Registry folder; repeatable.")
@click.option("--model", required=True, help="Registered model.")
@click.option("--dataset", required=True, help="Registered dataset, with its row limit if any.")
@click.option("--samples", type=FILE, required=True, help="Decoded rows.")
@click.option("--images", type=FILE, required=True, help="Decoded images.")
@click.option("--journal", type=FILE, required=True, help="Folder of all answers so far.")
@click.option("--shard", type=int, default=0, show_default=True, help="Number of this shard, from 0.")
@click.option("--shards", type=int, default=1, show_default=True, help="Number of shards.")
@click.option("--max-failures", type=int, default=0, show_default=True, help="Failed samples that may stay.")
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads for a model on the CPU.")
@click.option("--output", type=FILE, help="The shard's predictions, to be merged.")
@click.option("--predictions", "whole", type=FILE, help="All predictions, where there is one shard.")
@click.option("--timing", type=FILE, help="Seconds of each prediction, where there is one shard.")
def infer(
    registries: tuple[Path, ...],
    model: str,
    dataset: str,
    samples: Path,
    images: Path,
    journal: Path,
    shard: int,
    shards: int,
    max_failures: int,
    threads: int,
    output: Path | None,
    whole: Path | None,
    timing: Path | None,
) -> None:
    """Rows and images → predictions of one shard, through the journal that keeps every answer the moment it exists."""
    registry = load_registry(registries)
    entry, benchmark = registry.model(model), registry.dataset(dataset)
    spec = model_spec.resolve(model, entry)
    asking = Asking(spec.digest(), model_spec.longest_answer(entry, benchmark))
    limit = parse_dataset(dataset).limit
    questions, positions = read_questions(samples, benchmark, asking, limit=limit, shard=shard, shards=shards)

    name = f"{dataset}.{shard:03d}-of-{shards:03d}"
    waiting = f"{model} {name}: another process works on these rows; waiting for it"
    # Shards of one cut share no row and may work side by side; a limited dataset shares rows with all of them.
    with (
        hold(journal / "rows.lock", waiting, shared=limit is None),
        hold(journal / f"{name}.lock", waiting),
    ):
        epoch = epoch_of(journal, dataset)
        todo = unanswered(questions, accepted_predictions(journal, questions, epoch))
        if todo:
            runtime = model_spec.RuntimeOptions(model_spec.choose_device(entry), threads)
            part = f" {shard + 1}/{shards}" if shards > 1 else ""
            with progress(f"{model} {dataset}{part}", len(questions), len(questions) - len(todo)) as advance:
                answer(
                    todo,
                    lambda: backends.load(spec, runtime),
                    ImageStore(images),
                    JournalWriter(journal),
                    asking,
                    batch_size=entry.batch_size,
                    epoch=epoch,
                    advance=advance,
                )
    answers = accepted_predictions(journal, questions, epoch)
    refuse_failures(questions, answers, max_failures, f"{model} on {dataset}")

    made_by = spec.describe() | {
        "dataset": dataset,
        "prompt": prompt_spec(benchmark),
        "generation": asking.generation(),
    }
    table = predictions.shard_table(prediction_rows(questions, answers), positions, made_by)
    if output is not None:
        predictions.write_shard(table, output)
    if whole is not None and timing is not None:
        predictions.write_predictions([table], whole, timing)
        settle_epoch(journal, dataset)


if __name__ == "__main__":
    run_program("infer", infer)
