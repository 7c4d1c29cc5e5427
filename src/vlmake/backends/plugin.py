"""A class of the user's own as a model, in the job's own process; images reach it as files."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlmake.backends.base import Capabilities, DeviceLostError, Output, Request
from vlmake.dataset_classes.faults import FaultError
from vlmake.dataset_classes.process import scratch_folder
from vlmake.errors import VlmakeError
from vlmake.model_classes.calling import PluginError, UserModel, source_folder
from vlmake.model_classes.guarding import end_all_but, running
from vlmake.model_classes.making import make_model
from vlmake.model_classes.messages import Messages, as_series, dump_images, guide_messages, write_image
from vlmake.model_classes.source import may_build_prompts

if TYPE_CHECKING:
    from vlmake.models.model_spec import ModelSpec, RuntimeOptions
    from vlmake.registry.model_entries import PluginEntry

_LIBRARIES = ("torch", "transformers", "vlmeval")  # whose versions are told where the class loaded them


@dataclass(frozen=True)
class Batch:
    """Requests whose images lie in ``folder``, by the ids that the requests name."""

    requests: Sequence[Request]
    folder: Path
    files: Mapping[str, Path]


class PluginBackend:
    """A user's model. ``prepare`` writes files; all of the user's code runs in ``generate``, in one thread."""

    def __init__(self, model: UserModel, max_images: int | None, started: ExitStack) -> None:
        """Take the model, and what ends the processes that it started."""
        self.capabilities = Capabilities(max_images, system=False, history=False)
        self._model = model
        self._stack = started
        self._folder = self._stack.enter_context(scratch_folder(Path(tempfile.gettempdir(), "images")))
        self._samples = {"one by one": 0, "in batches": 0, "with its own prompt": 0}

    def prepare(self, requests: Sequence[Request]) -> Batch:
        """Write the images to files. Raises ImageError for one that is none."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        images = {name: data for request in requests for name, data in request.images.items()}
        try:
            return Batch(requests, folder, {name: write_image(data, name, folder) for name, data in images.items()})
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def generate(self, prepared: Batch) -> list[Output | Exception]:
        """Return the class's answers; what it prints goes to stderr. Raises for a batch that it refuses as a whole."""
        try:
            with redirect_stdout(sys.stderr):
                asked = [self._asked(request, prepared) for request in prepared.requests]
                good = [messages for messages in asked if not isinstance(messages, Exception)]
                results = iter(self._answers(good, prepared.requests[0]))
                return [one if isinstance(one, Exception) else next(results) for one in asked]
        finally:
            shutil.rmtree(prepared.folder, ignore_errors=True)

    def facts(self) -> dict[str, Any]:
        """Return the class, how its samples were asked, and the versions of what it loaded."""
        versions = {name: _version(name) for name in _LIBRARIES if name in sys.modules}
        return {"class": self._model.written, "samples": dict(self._samples), "libraries": versions}

    def close(self) -> None:
        """Remove the images, and end what the class started and left running."""
        self._stack.close()

    def _asked(self, request: Request, batch: Batch) -> Messages | Exception:
        """Return what the class is asked, or why it cannot be."""
        try:
            messages = self._messages(request, batch)
        except DeviceLostError:
            raise
        except Exception as error:  # an image that build_prompt found broken is the row's fault, not the class's
            return error
        shown = sum(part["type"] == "image" for part in messages)
        if self.capabilities.max_images is not None and shown > self.capabilities.max_images:
            return PluginError(f"{shown} images, and the entry's max_images is {self.capabilities.max_images}")
        return messages

    def _messages(self, request: Request, batch: Batch) -> Messages:
        sample = request.sample
        if sample is not None and sample.row is not None and self._model.uses_own_prompt(sample.dataset):
            line = as_series(sample.row, sample.index, request.images)
            self._samples["with its own prompt"] += 1
            return self._model.own_prompt(line, sample.dataset, partial(dump_images, batch.folder))
        (turn,) = request.turns
        return guide_messages(turn.parts, batch.files)

    def _answers(self, asked: list[Messages], request: Request) -> list[Output | Exception]:
        """Return an answer for each message; ``request`` is one of them, which are all of one benchmark."""
        told: dict[str, Any] = {"max_new_tokens": request.max_new_tokens}
        if request.sample is not None:
            told["dataset"] = request.sample.dataset
        if self._model.answers_batches and asked:
            texts = self._model.answer_batch(asked, told)
            self._samples["in batches"] += len(asked)
            return [_output(text) for text in texts]
        return [self._answer(messages, told) for messages in asked]

    def _answer(self, messages: Messages, told: dict[str, Any]) -> Output | Exception:
        self._samples["one by one"] += 1
        try:
            return _output(self._model.answer(messages, told))
        except DeviceLostError:
            raise
        except Exception as error:  # it costs this sample alone
            return error


def load(spec: ModelSpec, runtime: RuntimeOptions) -> PluginBackend:
    """Make the instance of the class that the spec's entry names; VlmakeError as one line if it cannot be had."""
    entry: PluginEntry = spec.entry  # type: ignore[assignment]  # the registry gave this backend its kind of entry
    with ExitStack() as started:
        started.callback(end_all_but, running())
        model = _made(spec.name, entry)
        if model.has_own_prompts() and not may_build_prompts(entry):
            raise VlmakeError(
                f"model '{spec.name}': {entry.model} inherits use_custom_prompt from a package; define it in its own"
                " module too, so that it is known without an import that its prompts depend on rows"
            )
        if runtime.device == "cpu" and (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(runtime.threads)
        return PluginBackend(model, entry.max_images, started.pop_all())


def _made(name: str, entry: PluginEntry) -> UserModel:
    with redirect_stdout(sys.stderr):
        try:
            return UserModel(make_model(entry), entry.model, source_folder(entry.python_path))
        except FaultError as error:
            raise VlmakeError(f"model '{name}': {entry.model}: {error}") from None
        except VlmakeError as error:
            raise VlmakeError(f"model '{name}': {error}") from None


def _output(text: str) -> Output:
    return Output(text, finish_reason=None, prompt_tokens=None, completion_tokens=None)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # vlmeval is also a distribution called ms-vlmeval
        return str(getattr(sys.modules[name], "__version__", "unknown"))
