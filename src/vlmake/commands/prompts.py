"""``vlmake prompts``: what a model would be asked."""

import json
import tempfile
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq

from vlmake import paths
from vlmake.data.decode import decode
from vlmake.data.download import source_record
from vlmake.data.images import ImageStore
from vlmake.data.roundtrip import digest_of, with_shown_images
from vlmake.dataset_classes.asking import decode_class
from vlmake.dataset_classes.process import class_call, log_outside_work
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import Frames, Part
from vlmake.inference.questions import check_askable, image_error_of, messages_of
from vlmake.model_classes.source import may_build_prompts
from vlmake.models.model_spec import benchmark_settings
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import PluginEntry
from vlmake.registry.own_benchmarks import known_registry
from vlmake.registry.readiness import readiness
from vlmake.runs.run_config import ImageRoundtrip, config_files, load_config


@click.command()
@click.option("--dataset", "--data", "dataset", required=True, help="Registered dataset, whose prompt is used.")
@click.option("--model", help="Registered model, for its own frames and system text.")
@click.option("--tsv", type=click.Path(path_type=Path), required=True, help="The rows; any md5 will do.")
@click.option("--image-roundtrip", type=click.Choice(["off", "vlmevalkit"]), help="Whose form of images (see config).")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
def command(
    dataset: str, model: str | None, tsv: Path, image_roundtrip: ImageRoundtrip | None, registry: tuple[Path, ...]
) -> None:
    """Print one JSON line per sample: its index and the messages a model gets.

    An image part is shown by its digest (SHA-256 of the original bytes) and its size in pixels, width first; one that
    VLMEvalKit saves in another form has that form behind its digest. A model's system text follows the messages. Of a
    class that builds prompts itself, which only its inference does, one line on stderr says so.
    """
    config = load_config({"image_roundtrip": image_roundtrip} if image_roundtrip else {}, config_files())
    known = known_registry(config, registry, [dataset])
    entry = known.dataset(dataset)
    if (ready := readiness(entry)).result == "nothing":
        raise VlmakeError(f"dataset '{dataset}': {ready.reason}")
    limited = paths.parse_dataset(known.resolve_dataset(dataset))
    frames, system = _of_model(known, model, limited.base)
    lmu_data = paths.lmu_data(config.lmu_data)
    if model is not None and (word := _own_prompts(known, model)):
        click.echo(word, err=True)
    with tempfile.TemporaryDirectory(prefix="vlmake-") as folder:
        samples, images = Path(folder) / "samples.parquet", Path(folder) / "images.arrow"
        source = source_record(limited.base, tsv)
        if entry.dataset is None:
            decode(tsv, source, paths.image_root(limited.base, lmu_data), samples, images)
        else:
            call = class_call(entry, str(limited), tsv, lmu_data, log_outside_work(dataset))
            decode_class(call, source, samples, images)
        with ImageStore(images) as store:
            rows = pq.read_table(samples).slice(0, limited.limit)
            check_askable(rows.column_names, entry)
            if config.image_roundtrip == "vlmevalkit" and entry.dataset is None:
                rows = with_shown_images(rows, str(samples))
            for row in rows.to_pylist():
                click.echo(json.dumps(_line(row, entry, frames, store) | system, ensure_ascii=False))


def _of_model(known: Registry, model: str | None, dataset: str) -> tuple[Frames, dict[str, str]]:
    """Return a model's own frames on a benchmark, and its system text as a line shows it."""
    if model is None:
        return Frames(), {}
    entry = known.model(model)
    frames = benchmark_settings(entry, dataset, known.dataset(dataset)).frames
    return frames, {"system": entry.system} if entry.system else {}


def _own_prompts(known: Registry, model: str) -> str | None:
    """Return what is to be said of a class that may ask otherwise than is shown here."""
    entry = known.model(model)
    if not isinstance(entry, PluginEntry) or not may_build_prompts(entry):
        return None
    return (
        f"vlmake: {entry.model} may build prompts of its own (use_custom_prompt); what follows is the benchmark's,"
        " which is asked where it does not"
    )


def _line(row: dict[str, Any], entry: DatasetEntry, frames: Frames, store: ImageStore) -> dict[str, Any]:
    messages = messages_of(row, entry, frames)
    line = {"index": row["index"], "messages": [_shown(part, store) for part in messages]}
    error = image_error_of(row, entry)
    return line | ({"image_error": error} if error else {})


def _shown(part: Part, store: ImageStore) -> dict[str, Any]:
    if part["type"] == "text":
        return dict(part)
    info = store.info(digest_of(part["image"]))
    return {"type": "image", "digest": part["image"], "size": [info.width, info.height]}
