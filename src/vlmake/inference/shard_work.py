"""One shard of one (model, dataset): its files, its questions, and who may work on them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vlmake.inference.journal import Prediction, epoch_of, failed_since
from vlmake.inference.questions import read_questions
from vlmake.inference.shard import Asking, Question, accepted_predictions, suspects, unanswered
from vlmake.locks import hold, try_hold
from vlmake.model_classes.source import may_build_prompts
from vlmake.models import model_spec
from vlmake.models.model_spec import ModelSpec
from vlmake.paths import parse_dataset
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.model_entries import PluginEntry
from vlmake.runs.run_config import ImageRoundtrip


@dataclass(frozen=True)
class ShardFiles:
    """A shard and the files it is answered from; ``dataset`` carries its row limit, if any."""

    dataset: str
    shard: int
    shards: int
    samples: Path
    images: Path
    journal: Path

    @property
    def name(self) -> str:
        """Return what the shard's lock is called."""
        return f"{self.dataset}.{self.shard:03d}-of-{self.shards:03d}"

    @property
    def inputs(self) -> Sequence[Path]:
        """The files without which nothing can be asked."""
        return (self.samples, self.images)


@dataclass(frozen=True)
class Todo:
    """Questions to ask; ``apart`` are those that a device stopped working at, each to be asked alone and last."""

    questions: Sequence[Question]
    apart: Sequence[Question]


@dataclass(frozen=True)
class Shard:
    """A shard's questions as the model is asked them, with their row positions in the benchmark."""

    files: ShardFiles
    asking: Asking
    questions: Sequence[Question]
    positions: Sequence[int]
    epoch: int

    def answers(self) -> dict[str, Prediction]:
        """Return the predictions in the journal that count, by key."""
        return accepted_predictions(self.files.journal, self.questions, self.epoch)

    def todo(self, started_ns: int | None) -> Todo:
        """Return what the shard's own job asks: all that has no answer, also what failed before.

        ``started_ns`` is when the run began (Unix time, ns), if that is known: what failed since then, while another
        job worked ahead, is not asked a second time by the same run.
        """
        answers = self.answers()
        apart = suspects(self.questions, answers)
        done = {question.key for question in apart}
        tried = failed_since(self.files.journal, started_ns) if started_ns is not None else set()
        return Todo(
            [item for item in unanswered(self.questions, answers) if item.key not in done | tried],
            [item for item in apart if item.key not in tried],
        )

    def untried(self) -> Todo:
        """Return what a job that works ahead asks: questions that nobody tried, so that it repeats no failure."""
        answers = self.answers()
        return Todo([question for question in self.questions if question.key not in answers], [])


def read_shard(
    files: ShardFiles, spec: ModelSpec, benchmark: DatasetEntry, image_roundtrip: ImageRoundtrip = "off"
) -> Shard:
    """Return the questions of a shard; raise VlmakeError for damaged rows."""
    name = parse_dataset(files.dataset)
    here = model_spec.benchmark_settings(spec.entry, name.base, benchmark)
    looked_up_in = name.base if spec.entry.backend == "replay" else None
    plugin = spec.entry if isinstance(spec.entry, PluginEntry) else None
    asking = Asking(
        spec.digest(),
        here.max_new_tokens,
        here.pixels,
        looked_up_in=looked_up_in,
        told=name.base if plugin else None,
        with_rows=plugin is not None and may_build_prompts(plugin),
    )
    questions, positions = read_questions(
        files.samples,
        benchmark,
        asking,
        frames=here.frames,
        limit=name.limit,
        shard=files.shard,
        shards=files.shards,
        image_roundtrip=image_roundtrip,
    )
    return Shard(files, asking, questions, positions, epoch_of(files.journal, files.dataset))


@contextmanager
def hold_rows(files: ShardFiles, model: str) -> Iterator[None]:
    """Wait until no other process works on the shard's rows, and keep them.

    Shards of one cut share no row and may work side by side; a limited dataset shares rows with all of them.
    """
    waiting = f"{model} {files.name}: another process works on these rows; waiting for it"
    with (
        hold(_rows_lock(files), waiting, shared=_is_whole(files)),
        hold(files.journal / f"{files.name}.lock", waiting),
    ):
        yield


@contextmanager
def try_hold_rows(files: ShardFiles) -> Iterator[bool]:
    """Keep the shard's rows if no other process works on them; yields whether they are kept."""
    with ExitStack() as stack:
        yield stack.enter_context(try_hold(_rows_lock(files), shared=_is_whole(files))) and stack.enter_context(
            try_hold(files.journal / f"{files.name}.lock")
        )


def _rows_lock(files: ShardFiles) -> Path:
    return files.journal / "rows.lock"


def _is_whole(files: ShardFiles) -> bool:
    return parse_dataset(files.dataset).limit is None
