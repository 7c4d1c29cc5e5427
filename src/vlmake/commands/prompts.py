"""``vlmake prompts``: what a model would be asked."""

import json
import tempfile
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq

from vlmake import paths
from vlmake.decode import decode
from vlmake.download import source_record
from vlmake.images import ImageStore
from vlmake.prompts import Part, check_columns, render
from vlmake.registry import DatasetEntry, load_registry, prompt_template, registry_folders
from vlmake.roundtrip import digest_of, shown_ids, tsv_facts
from vlmake.run_config import ImageRoundtrip, config_files, load_config


@click.command()
@click.option("--dataset", required=True, help="Registered dataset, whose prompt is used.")
@click.option("--tsv", type=click.Path(path_type=Path), required=True, help="The rows; any md5 will do.")
@click.option("--image-roundtrip", type=click.Choice(["off", "vlmevalkit"]), help="Whose form of images (see config).")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
def command(dataset: str, tsv: Path, image_roundtrip: ImageRoundtrip | None, registry: tuple[Path, ...]) -> None:
    """Print one JSON line per sample: its index and the messages a model gets.

    An image part is shown by its digest (SHA-256 of the original bytes) and its size in pixels, width first; one that
    VLMEvalKit saves in another form has that form behind its digest.
    """
    config = load_config({"image_roundtrip": image_roundtrip} if image_roundtrip else {}, config_files())
    known = load_registry(registry_folders([*config.registry, *map(str, registry)]))
    entry = known.dataset(dataset)
    limited = paths.parse_dataset(known.resolve_dataset(dataset))
    image_root = paths.image_root(limited.base, paths.lmu_data(config.lmu_data))
    with tempfile.TemporaryDirectory(prefix="vlmake-") as folder:
        samples, images = Path(folder) / "samples.parquet", Path(folder) / "images.arrow"
        decode(tsv, source_record(limited.base, tsv), image_root, samples, images)
        with ImageStore(images) as store:
            rows = pq.read_table(samples).slice(0, limited.limit)
            facts = tsv_facts(rows.schema.metadata, str(samples))
            check_columns(rows.column_names, prompt_template(entry))
            for row in rows.to_pylist():
                if config.image_roundtrip != "off":
                    row["images"] = shown_ids(row["images"], row.get("image_path"), facts)
                click.echo(json.dumps(_line(row, entry, store), ensure_ascii=False))


def _line(row: dict[str, Any], entry: DatasetEntry, store: ImageStore) -> dict[str, Any]:
    messages = render(prompt_template(entry), row, row["images"])
    line = {"index": row["index"], "messages": [_shown(part, store) for part in messages]}
    return line | ({"image_error": row["image_error"]} if row["image_error"] else {})


def _shown(part: Part, store: ImageStore) -> dict[str, Any]:
    if part["type"] == "text":
        return dict(part)
    info = store.info(digest_of(part["image"]))
    return {"type": "image", "digest": part["image"], "size": [info.width, info.height]}
