"""The prediction journal: what a model answered, kept the moment it exists.

A journal is a folder of append-only JSON-lines files, one file per writer, so two writers never share a line. Every
batch is fsynced before it is counted. Readers accept whole, well-formed lines only: a line torn by a crash is as if
it had never been written, and its sample is asked again. Nothing in a journal is ever rewritten or deleted here.
"""

import json
import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import get_args, get_type_hints

from vlmake.errors import VlmakeError
from vlmake.inference.statuses import STATUSES, Status
from vlmake.store import disk_errors, sync_folder, write_text

DEVICE_LOST = "DeviceLostError"  # how the error begins of a sample that a device was working on when it stopped
ALONE = "alone"  # what follows if no other sample was in its batch


@dataclass(frozen=True, slots=True)
class Prediction:
    """One model answer to one sample.

    ``key`` digests everything that can change the answer. ``epoch`` counts how often the user asked for fresh
    answers; ``seconds`` is this sample's share of its batch's wall time. The ``earlier`` tokens were spent on answers
    that did not count; like the seconds they are no part of the predictions.
    """

    key: str
    index: str
    repeat: int
    prediction: str | None
    thinking: str | None
    status: Status
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    error: str | None
    seconds: float
    epoch: int
    earlier_prompt_tokens: int = 0
    earlier_completion_tokens: int = 0


def _accepted_types(annotation: object) -> tuple[type, ...]:
    if isinstance(annotation, UnionType):
        return tuple(kind if isinstance(kind, type) else NoneType for kind in get_args(annotation))
    return (annotation,) if isinstance(annotation, type) else (str,)


_FIELD_TYPES = {name: _accepted_types(kind) for name, kind in get_type_hints(Prediction).items()}
_MOST_TOKENS = 2**31 - 1
_NO_COUNT = {
    **dict.fromkeys(("prompt_tokens", "completion_tokens")),
    **dict.fromkeys(("earlier_prompt_tokens", "earlier_completion_tokens"), 0),
}
_MAY_LACK = {item.name for item in fields(Prediction) if item.default is not MISSING}


class JournalWriter:
    """Appends predictions to a file of its own; the file appears with the first batch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def append(self, predictions: Sequence[Prediction]) -> None:
        """Write a batch and fsync it; when this returns, neither a kill nor a power cut can lose it."""
        if not predictions:
            return
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
            self._file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            sync_folder(self._folder)
        with disk_errors(self._folder):
            self._write(predictions, self._file)

    @staticmethod
    def _write(predictions: Sequence[Prediction], file: int) -> None:
        lines = "".join(json.dumps(asdict(item), ensure_ascii=True) + "\n" for item in predictions)
        remaining = memoryview(lines.encode("ascii"))
        while remaining:
            remaining = remaining[os.write(file, remaining) :]
        os.fsync(file)

    def close(self) -> None:
        """Close the file; what was appended is safe already."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def parse_line(line: bytes) -> Prediction | None:
    """Return the prediction on a journal line, or None if the line is torn, foreign or malformed."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.keys() | _MAY_LACK != _FIELD_TYPES.keys():
        return None
    for name, value in values.items():
        kinds = _FIELD_TYPES[name]
        if not isinstance(value, kinds) and not (name == "seconds" and isinstance(value, int)):
            return None
    if values["status"] not in STATUSES:
        return None
    values.update((name, nothing) for name, nothing in _NO_COUNT.items() if _is_absurd(values.get(name)))
    return Prediction(**values)


def _is_absurd(count: int | None) -> bool:
    """Tell whether no table holds a count of tokens; a server said it, and the answer beside it is good."""
    return count is not None and not 0 <= count <= _MOST_TOKENS


def read_journal(folder: Path, keys: Iterable[str] | None = None) -> dict[str, Prediction]:
    """Return the accepted prediction of each wanted key, of every key where none are named.

    Among several records of a key the highest epoch wins, within it an answer wins over a model error, among errors
    one that says that the sample alone stopped a device, and then the first in (file name, line) order, so the choice
    depends on the files alone.
    """
    wanted = None if keys is None else frozenset(keys)
    best: dict[str, Prediction] = {}
    for item in all_predictions(folder):
        if (wanted is None or item.key in wanted) and (item.key not in best or _rank(item) > _rank(best[item.key])):
            best[item.key] = item
    return best


def failed_since(folder: Path, moment_ns: int) -> set[str]:
    """Return the keys of all model errors in files that were written to after a moment (Unix time, ns).

    A writer has its file to itself and writes for one job only, so these are the failures of the jobs since then.
    """
    files = [file for file in sorted(folder.glob("*.jsonl")) if file.stat().st_mtime_ns >= moment_ns]
    return {item.key for item in _records_of(files) if item.status == "model_error"}


def stopped_device(item: Prediction) -> bool:
    """Tell whether a device stopped working while it was at this sample, alone or among others."""
    return (item.error or "").startswith(DEVICE_LOST)


def stopped_alone(item: Prediction) -> bool:
    """Tell whether a device stopped working while it was at this sample and no other."""
    return (item.error or "").startswith(f"{DEVICE_LOST}: {ALONE}")


def epoch_of(folder: Path, dataset: str) -> int:
    """Return how often fresh predictions were asked for ``dataset`` (0: never)."""
    return _read_epoch(folder / f"{dataset}.epoch")[0]


def is_settled(folder: Path, dataset: str) -> bool:
    """Tell whether the last request for fresh predictions for ``dataset``, if there was one, was met to its end."""
    return _read_epoch(folder / f"{dataset}.epoch")[1]


def start_epoch(folder: Path, dataset: str) -> int:
    """Supersede what is known for ``dataset`` and return the new epoch.

    Answers of earlier epochs stay on disk but no longer count. An epoch that was started and not settled, because
    its run was killed, goes on instead.
    """
    epoch, settled = _read_epoch(folder / f"{dataset}.epoch")
    if settled:
        epoch = 1 + max((_read_epoch(file)[0] for file in folder.glob("*.epoch")), default=0)
        write_text(folder / f"{dataset}.epoch", f"{epoch} started")
    return epoch


def settle_epoch(folder: Path, dataset: str) -> None:
    """Mark the epoch of ``dataset`` as complete, so that the next request for fresh predictions starts another."""
    write_text(folder / f"{dataset}.epoch", f"{epoch_of(folder, dataset)} settled")


def _read_epoch(file: Path) -> tuple[int, bool]:
    """Return the epoch's number and whether it is complete; no file is epoch 0, complete."""
    try:
        number, state = file.read_text(encoding="ascii").split()
        return int(number), state == "settled"
    except FileNotFoundError:
        return 0, True
    except ValueError:
        raise VlmakeError(
            f"{file} is damaged; delete it, and ask for fresh predictions again if you wanted them"
        ) from None


def all_predictions(folder: Path) -> Iterator[Prediction]:
    """Yield every record of a journal, superseded ones too."""
    return _records_of(sorted(folder.glob("*.jsonl")))


def _records_of(files: Iterable[Path]) -> Iterator[Prediction]:
    for file in files:
        with file.open("rb") as lines:
            for line in lines:
                if (item := parse_line(line)) is not None:
                    yield item


def _rank(item: Prediction) -> tuple[int, bool, bool]:
    return item.epoch, item.status != "model_error", stopped_alone(item)
