"""Modules with model classes as users write them, and how a job asks these."""

import base64
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tests.conftest import write_tsv
from vlmake import backends
from vlmake.backends.base import Output, Request, SampleName, Turn
from vlmake.backends.plugin import PluginBackend
from vlmake.data.decode import decode
from vlmake.data.download import source_record
from vlmake.data.images import ImageStore
from vlmake.inference.answering import Pace, answer, askable
from vlmake.inference.journal import JournalWriter, Prediction
from vlmake.inference.shard import accepted_predictions
from vlmake.inference.shard_work import Shard, ShardFiles, read_shard
from vlmake.models.model_spec import ModelSpec, RuntimeOptions, resolve
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.model_entries import PluginEntry

CPU = RuntimeOptions("cpu")


def picture(form: str, colour: tuple[int, int, int] = (200, 30, 10)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(buffer, form)
    return buffer.getvalue()


IMAGES = {"one": picture("PNG"), "two": picture("JPEG")}

SHOWS = """
import hashlib, json
from pathlib import Path

class Mine:
    def __init__(self, prefix=''):
        self.prefix = prefix

    def generate(self, messages):
        shown = [m['value'] if m['type'] == 'text' else self.about(m['value']) for m in messages]
        return self.prefix + json.dumps(shown)

    def about(self, path):
        Mine.last = path
        return [Path(path).suffix, hashlib.sha256(Path(path).read_bytes()).hexdigest()]
"""

TSV = [
    ["index", "image", "image_path", "question", "hint", "A", "B", "category"],
    ["0", "ONE", "a.jpg", "What?", "Look.", "red", "blue", "x"],
    ["1", "TWO", "b.jpg", "Where?", "", "", "", "y"],
]


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def load(spec: ModelSpec) -> PluginBackend:
    loaded = backends.load(spec, CPU)
    assert isinstance(loaded, PluginBackend)
    return loaded


class Modules:
    """A folder of user modules; each has a name that no other test has imported."""

    made = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spec(self, source: str, **keys: object) -> ModelSpec:
        Modules.made += 1
        name = f"user_module_{Modules.made}"
        (self.folder / f"{name}.py").write_text(source, encoding="utf-8")
        given = {"backend": "plugin", "model": f"{name}:Mine", "python_path": str(self.folder), "gpus": 0}
        return resolve("M", PluginEntry.model_validate(given | keys))

    def load(self, source: str, **keys: object) -> PluginBackend:
        return load(self.spec(source, **keys))


def module_of(spec: ModelSpec) -> Any:
    assert isinstance(spec.entry, PluginEntry)
    return sys.modules[spec.entry.model.partition(":")[0]]


def request(*parts: str, sample: SampleName | None = None) -> Request:
    """Parts that are names of IMAGES are images."""
    shown = [{"type": "image", "image": part} if part in IMAGES else {"type": "text", "text": part} for part in parts]
    return Request([Turn("user", shown)], IMAGES, 7, sample=sample)


def answers(backend: PluginBackend, *requests: Request) -> list[str]:
    """Texts, and the words of exceptions."""
    results: Sequence[Output | Exception] = backend.generate(backend.prepare(list(requests)))
    return [one.text if isinstance(one, Output) else f"{type(one).__name__}: {one}" for one in results]


def made_shard(
    folder: Path,
    spec: ModelSpec,
    questions: Sequence[str],
    *,
    dataset: str = "Mine",
    tsv: list[list[str]] | None = None,
    task: str = "vqa",
) -> tuple[Shard, Path]:
    """Decode a TSV of questions, or a whole one in which ONE and TWO stand for images; return its only shard."""
    rows = tsv or [["index", "image", "question"], *([str(n), "ONE", text] for n, text in enumerate(questions))]
    encoded = {"ONE": base64_of(IMAGES["one"]), "TWO": base64_of(IMAGES["two"])}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{dataset}.tsv"
    write_tsv(file, [[encoded.get(cell, cell) for cell in row] for row in rows])
    samples, images = folder / "samples.parquet", folder / "images.arrow"
    decode(file, source_record(dataset, file), folder, samples, images)
    entry = DatasetEntry.model_validate({"path": str(file), "task": task, "metric": "anls"})
    files = ShardFiles(dataset, 0, 1, samples, images, folder / "journal")
    return read_shard(files, spec, entry), images


def ask(shard: Shard, images: Path, spec: ModelSpec, journal: Path) -> list[Prediction]:
    """Ask a shard's questions of a model as a job does; return what its journal then holds, by row."""
    backend = load(spec)
    with ImageStore(images) as store:
        answer(
            askable(shard.questions), backend, store, JournalWriter(journal), shard.asking,
            Pace(spec.entry.batch_size), epoch=0, advance=lambda _: None,
        )  # fmt: skip
    backend.close()
    found = accepted_predictions(journal, shard.questions, 0)
    return [found[question.key] for question in shard.questions]
