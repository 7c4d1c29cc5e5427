"""Imported predictions that stand as a model: every question is answered from a file, by dataset and index."""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from vlmake.backends.base import Capabilities, Output, Request, SampleName
from vlmake.data.images import ImageError
from vlmake.errors import VlmakeError
from vlmake.importing.doubts import ImportedRow
from vlmake.importing.imported import read_rows
from vlmake.models.model_spec import ModelSpec, RuntimeOptions


class NotImportedError(VlmakeError):
    """There is no prediction to replay."""


class ReplayBackend:
    """The predictions of one import; a dataset's are read when it is first asked about."""

    capabilities = Capabilities(max_images=None, system=True, history=True)

    def __init__(self, folder: Path) -> None:
        self._rows = cache(partial(read_rows, folder))
        self._replayed = 0

    def prepare(self, requests: Sequence[Request]) -> list[SampleName | None]:
        """Return what is asked about; the words and the pictures do not matter."""
        return [request.sample for request in requests]

    def generate(self, prepared: Sequence[SampleName | None]) -> list[Output | Exception]:
        """Return one imported prediction per request, in order, or why there is none."""
        self._replayed += len(prepared)
        return [self._answer(sample) for sample in prepared]

    def facts(self) -> dict[str, Any]:
        """Return how many predictions were looked up."""
        return {"samples": {"replayed": self._replayed}}

    def close(self) -> None:
        """Nothing was started."""

    def _answer(self, sample: SampleName | None) -> Output | Exception:
        if sample is None:
            return NotImportedError("a question that names no sample cannot be looked up")
        try:
            row = self._rows(sample.dataset).get(sample.index)
        except VlmakeError as error:
            return NotImportedError(str(error))
        if row is None:
            return NotImportedError(f"index '{sample.index}' is not in the imported file")
        return _output(row)


def load(spec: ModelSpec, runtime: RuntimeOptions) -> ReplayBackend:
    """Open the import that the spec names; nothing runs on any device."""
    return ReplayBackend(spec.folder)


def _output(row: ImportedRow) -> Output | Exception:
    if row.status == "bad_image":
        return ImageError(row.error or "the imported file says that its image is broken")
    if row.prediction is None or row.status == "model_error":
        return NotImportedError(row.error or "the imported file says that this sample failed")
    finish_reason = "length" if row.status == "truncated" else None
    return Output(row.prediction, finish_reason, None, None, row.thinking)
