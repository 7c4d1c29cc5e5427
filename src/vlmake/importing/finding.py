"""Which files of a folder are predictions, and of which benchmark: told by their names alone.

VLMEvalKit leaves ``MODEL/T20260102-030405/MODEL_DATASET.xlsx`` (or tsv, json) with a link one level up, and beside it
files of other kinds whose names go on after the dataset (``_auxmatch``, ``_acc.csv``, ``_score.csv``, ``_result.xlsx``)
or end in ``.pkl``; lm-eval and lmms-eval leave sample logs; vlmake leaves ``DATASET_predictions.parquet``.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlmake import paths
from vlmake.errors import VlmakeError, did_you_mean
from vlmake.importing import Format
from vlmake.importing.sample_logs import is_sample_log, log_name
from vlmake.importing.task_names import TASKS, LoggedTask
from vlmake.registry.loading import Registry
from vlmake.tables.predictions_io import PICKLES, READERS

_ENDINGS: dict[Format, tuple[str, ...]] = {
    "auto": (".parquet", ".json", ".jsonl", ".tsv", ".csv", ".xlsx"),
    "vlmevalkit": (".json", ".tsv", ".xlsx"),
    "samples": (".jsonl",),
    "vlmake": (".parquet",),
}
"""Endings of each format; of two files of one run, the one whose ending comes first has lost less."""

_RUN = re.compile(r"T\d{8}.*")
_OWN = re.compile(rf"({paths.LIMITED_NAME})_predictions")
_BESIDE = re.compile(rf"({paths.LIMITED_NAME})_(?:judged|score|timing|submission)\.[a-z]+")

Names = Mapping[str, str]
"""The registered name behind every name and alias of a dataset."""


@dataclass(frozen=True)
class Found:
    """A file of predictions of ``dataset``, made by ``model`` as far as the name tells.

    ``task`` is set for a sample log, ``limit`` where the file is known to hold the first rows only.
    """

    dataset: str
    file: Path
    model: str = ""
    task: LoggedTask | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Findings:
    """The file to import for each dataset, and what was seen and left out: a line a file."""

    files: Mapping[str, Found]
    left_out: Sequence[str]


def find(source: Path, registry: Registry, dataset: str | None, form: Format, limit: int | None = None) -> Findings:
    """Return what there is to import.

    Args:
        source: A folder, or one file.
        registry: Knows the datasets.
        dataset: Only this one, by its registered name; of a single file, what it is whatever its name.
        form: Only files of this format.
        limit: The first rows only are asked for, whatever the file holds.

    Raises:
        VlmakeError: Nothing to import, predictions of several models, or nothing but pickles.
    """
    if source.is_file():
        one = _limited(_single(source, registry, dataset), limit)
        return Findings({one.dataset: one}, [])
    if not source.is_dir():
        raise VlmakeError(f"cannot read {source}: no such file or folder")
    names = dataset_names(registry)
    found: list[Found] = []
    pickled: dict[str, Path] = {}
    strange: list[Path] = []
    for file in _files(source, (*_ENDINGS[form], *PICKLES)):
        told = _told_by_name(file, names)
        if told is None:
            strange.append(file)
        elif file.suffix in PICKLES:
            pickled[told.dataset] = file
        else:
            found.append(told)
    wanted = [one for one in found if dataset in (None, one.dataset)]
    _refuse_mixture(source, wanted)
    files = _newest(wanted, source)
    pickled = {name: file for name, file in pickled.items() if name not in files and dataset in (None, name)}
    hints = [*_in_parts(files, registry), *_hints(strange, names)]
    files = {name: _limited(one, limit) for name, one in files.items() if not _parts(registry, name)}
    if not wanted and found:
        raise VlmakeError(f"{source} holds no {dataset}; it holds {', '.join(sorted({one.dataset for one in found}))}")
    if not files:
        raise VlmakeError(_nothing(source, dataset, pickled, hints))
    return Findings(files, [*hints, *(f"{file.name}: {_PICKLED}" for file in pickled.values())])


def _limited(found: Found, limit: int | None) -> Found:
    return found if limit is None else replace(found, limit=limit)


_PICKLED = "a pickle, which is never opened, because loading one runs code; write it again as tsv or json"


def _nothing(source: Path, dataset: str | None, pickled: Mapping[str, Path], hints: Sequence[str]) -> str:
    """Return why there is nothing to import, as one line."""
    if pickled:
        return f"{next(iter(pickled.values()))}: {_PICKLED}"
    of = f"of {dataset}" if dataset else "of a registered dataset"
    if hints:
        return f"{source} holds no predictions {of}: {hints[0]}"
    return (
        f"{source} holds no predictions {of}: expected MODEL_DATASET.xlsx, .tsv or .json, samples_TASK_TIME.jsonl or"
        " DATASET_predictions.parquet; of a file with another name say what it is by --dataset"
    )


def _files(source: Path, endings: Collection[str]) -> Iterator[Path]:
    """Yield the files of a folder and of those in it: the runs of VLMEvalKit, the models of lm-eval."""
    folders = [source, *sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))]
    for folder in folders:
        yield from sorted(path for path in folder.iterdir() if path.suffix in endings and path.is_file())


def _single(file: Path, registry: Registry, dataset: str | None) -> Found:
    if file.suffix.lower() in PICKLES:
        raise VlmakeError(f"{file}: {_PICKLED}")
    if file.suffix.lower() not in READERS:
        raise VlmakeError(f"{file}: unknown format '{file.suffix or file.name}'; known: {', '.join(READERS)}")
    names = dataset_names(registry)
    told = _told_by_name(file, names)
    if dataset is None:
        if told is not None:
            return told
        hint = "".join(_hints([file], names)) or f"{file.name}: its name ends with no registered dataset"
        raise VlmakeError(f"{hint}; say what it is by --dataset")
    task = told.task if told is not None else None
    if task is None and is_sample_log(file):
        task = LoggedTask(dataset)
    return Found(dataset, file, task=task, limit=told.limit if told is not None else None)


def dataset_names(registry: Registry) -> Names:
    """Return the registered name behind every name of a dataset; TSVs without an entry have their own."""
    aliases = {key.split(":", 1)[1]: name for key, name in registry.aliases.items() if key.startswith("dataset:")}
    return aliases | {name: name for name in (*registry.datasets, *registry.unregistered)}


def _parts(registry: Registry, dataset: str) -> Sequence[str]:
    return registry.datasets[dataset].parts if dataset in registry.datasets else ()


def _told_by_name(file: Path, names: Names) -> Found | None:
    """Return what a file's name says it holds, None for a file of another kind or of an unknown dataset."""
    if (log := log_name(file)) is not None:
        task = TASKS.get(log.task) or LoggedTask(log.task)
        return Found(names[task.dataset], file, file.parent.name, task) if task.dataset in names else None
    if file.suffix == ".parquet" and (own := _OWN.fullmatch(file.stem)):
        limited = paths.parse_dataset(own[1])
        return Found(names[limited.base], file, limit=limited.limit) if limited.base in names else None
    model, name = _split(file, names)
    return Found(names[name], file, model) if name in names else None


def _split(file: Path, names: Names) -> tuple[str, str]:
    """Return model and dataset of ``MODEL_DATASET.xlsx``: by the folder's name, else the longest known dataset."""
    folder = file.parent.parent if _RUN.fullmatch(file.parent.name) else file.parent
    stem = file.stem
    if stem in names:
        return "", stem
    if stem.startswith(f"{folder.name}_"):
        return folder.name, stem.removeprefix(f"{folder.name}_")
    cuts = [place for place, letter in enumerate(stem) if letter == "_"]
    place = next((place for place in cuts if stem[place + 1 :] in names), cuts[0] if cuts else len(stem))
    return stem[:place], stem[place + 1 :]


def _in_parts(files: Mapping[str, Found], registry: Registry) -> list[str]:
    """Return a line for each dataset that is never run itself: VLMEvalKit scores its parts from files of their own."""
    return [
        f"{one.file.name}: {name} is made of parts; import the files of {', '.join(_parts(registry, name))}"
        for name, one in files.items()
        if _parts(registry, name)
    ]


def _hints(strange: Sequence[Path], names: Names) -> list[str]:
    """Return a line for each of the first files that look like predictions of a misspelt dataset."""
    lines = []
    for file in strange[:_LOOKED_AT]:
        log = log_name(file)
        name = log.task if log else _split(file, names)[1]
        if not name or file.suffix in PICKLES or _is_our_own(file, names) or _goes_on_after_a_dataset(name, names):
            continue
        hint = did_you_mean(name, [*TASKS, *names] if log else names)
        if hint or log:
            lines.append(f"{file.name}: '{name}' is no registered dataset{hint}")
        if len(lines) == _MOST_HINTS:
            break
    return lines


_MOST_HINTS = 5
_LOOKED_AT = 100  # a search for like names takes milliseconds
_PART_OF_A_NAME = re.compile(r"[A-Z0-9_]+")  # as in MMBench_DEV_EN_V11


def _is_our_own(file: Path, names: Names) -> bool:
    """Tell another result of vlmake's own runs: the scores, judged rows and timings beside the predictions."""
    beside = _BESIDE.fullmatch(file.name)
    return beside is not None and paths.parse_dataset(beside[1]).base in names


def _goes_on_after_a_dataset(name: str, names: Names) -> bool:
    """Tell a name such as ``MME_auxmatch``: one of VLMEvalKit's other files, and no misspelt dataset."""
    more = [name.removeprefix(f"{known}_") for known in names if name.startswith(f"{known}_")]
    return bool(more) and not _PART_OF_A_NAME.fullmatch(min(more, key=len))


def _refuse_mixture(source: Path, found: Sequence[Found]) -> None:
    """Raise VlmakeError for predictions of several models, or logs and tables of one dataset, side by side."""
    models = sorted({one.model for one in found if one.model and one.task is None})
    models = models if len(models) > 1 else sorted({one.model for one in found if one.task is not None})
    if len(models) > 1:
        raise VlmakeError(
            f"{source} holds predictions of several models ({', '.join(models)}); name the folder or the file of one"
        )
    logged = {one.dataset for one in found if one.task is not None}
    if both := sorted(logged & {one.dataset for one in found if one.task is None}):
        raise VlmakeError(f"{source} holds {both[0]} as a sample log and as a table; choose by --format")


def _newest(found: Sequence[Found], source: Path) -> dict[str, Found]:
    """Return one file a dataset: whole ones first, then those not in a run's folder, then of the newest run."""

    def preference(one: Found) -> tuple[bool, bool, str, int]:
        log = log_name(one.file)
        when = log.time if log else one.file.parent.name
        return one.limit is None, one.file.parent == source, when, -_ENDINGS["auto"].index(one.file.suffix)

    best: dict[str, Found] = {}
    for one in found:
        if one.dataset not in best or preference(one) > preference(best[one.dataset]):
            best[one.dataset] = one
    return best
