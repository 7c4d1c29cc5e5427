"""A user's model is called: what it takes, what it raises, what it returns."""

import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vlmake.backends.base import DeviceLostError, OutOfMemoryError
from vlmake.dataset_classes.faults import fault_text
from vlmake.errors import VlmakeError
from vlmake.model_classes.base_model import BaseModel
from vlmake.model_classes.guarding import guarded
from vlmake.model_classes.messages import Messages, without_interleaving

_ONE_BY_ONE = ("generate", "generate_inner")  # of these the first that a class has
_MOST_TRACEBACKS = 20


class PluginError(Exception):
    """What a user's model did wrong with a sample, in one line."""


class UserModel:
    """An instance of a user's class. Its methods get ``dataset`` and ``max_new_tokens`` where they take them."""

    def __init__(self, model: Any, written: str, folder: str) -> None:
        """Take the instance, how the entry writes its class, and the folder of its source.

        Raises:
            VlmakeError: The class has no method that answers.
        """
        self.written = written
        self._model, self._folder = model, folder
        self._shown: set[str] = set()
        names = [name for name in _ONE_BY_ONE if callable(getattr(model, name, None))]
        self.answers_batches = callable(getattr(model, "generate_batch", None))
        if not (names or self.answers_batches):
            raise VlmakeError(f"{written} has no method generate(self, messages)")
        self._one = names[0] if names else ""
        self._collapses = getattr(model, "INTERLEAVE", True) is False and not hasattr(model, "message_to_promptimg")

    def has_own_prompts(self) -> bool:
        """Tell whether the class has its own ``use_custom_prompt``."""
        own = getattr(type(self._model), "use_custom_prompt", None)
        return callable(getattr(self._model, "use_custom_prompt", None)) and own is not BaseModel.use_custom_prompt

    def uses_own_prompt(self, dataset: str) -> bool:
        """Tell whether the class builds the prompts of a dataset; raises as ``answer`` does."""
        return self.has_own_prompts() and bool(self._call("use_custom_prompt", dataset))

    def own_prompt(self, line: Any, dataset: str, dump: Callable[[Any], list[str]]) -> Messages:
        """Return the prompt that the class builds for a row; ``dump`` writes a row's images. Raises as ``answer``."""
        if callable(getattr(self._model, "set_dump_image", None)):
            self._call("set_dump_image", dump)
        prompt = self._call("build_prompt", line, **self._taken("build_prompt", {"dataset": dataset}))
        try:
            messages = BaseModel().preproc_content(prompt)
        except (TypeError, AttributeError):
            messages = None
        if not messages:
            raise PluginError(f"{self.written}: build_prompt must return a list of dict(type=…, value=…) or of texts")
        return messages

    def answer(self, messages: Messages, told: dict[str, Any]) -> str:
        """Return the answer to one message.

        Raises:
            PluginError: The class raised, or returned no text.
            OutOfMemoryError: There was not enough of the device's memory.
            DeviceLostError: The device works no more.
        """
        if not self._one:
            return self.answer_batch([messages], told)[0]
        return self._text(self._call(self._one, self._as_taken(messages), **self._taken(self._one, told)), self._one)

    def answer_batch(self, batch: list[Messages], told: dict[str, Any]) -> list[str]:
        """Return the answers to several messages by ``generate_batch``; raises as ``answer`` does."""
        taken = self._taken("generate_batch", told)
        returned = self._call("generate_batch", [self._as_taken(messages) for messages in batch], **taken)
        if not isinstance(returned, list | tuple) or len(returned) != len(batch):
            what = f"{len(returned)} answers" if isinstance(returned, list | tuple) else type(returned).__name__
            raise PluginError(f"{self.written}: generate_batch returned {what} for {len(batch)} messages")
        return [self._text(one, "generate_batch") for one in returned]

    def _as_taken(self, messages: Messages) -> Messages:
        return without_interleaving(messages) if self._collapses else messages

    def _taken(self, method: str, told: dict[str, Any]) -> dict[str, Any]:
        """Return what a method's signature takes of what a model may be told."""
        try:
            parameters = inspect.signature(getattr(self._model, method)).parameters
        except (TypeError, ValueError):  # a callable that Python knows no signature of
            return {}
        rest = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        return {name: value for name, value in told.items() if name in parameters or (rest and name == "dataset")}

    def _text(self, returned: Any, method: str) -> str:
        if not isinstance(returned, str):
            raise PluginError(f"{self.written}: {method} returned {type(returned).__name__}, not a text")
        failed = getattr(self._model, "fail_msg", None)  # what vlmeval's classes for servers return for no answer
        if isinstance(failed, str) and failed.strip() and failed in returned:
            raise PluginError(f"{self.written}: {' '.join(returned.split())[:200]}")
        return returned

    def _call(self, method: str, *values: Any, **named: Any) -> Any:
        try:
            with guarded(f"{self.written}: {method}"):
                return getattr(self._model, method)(*values, **named)
        except (Exception, SystemExit) as error:
            fault, kind = fault_text(method, self._folder, error), _kind(error)
            self._show(fault)
        # Outside the handler: the exception would keep the batch's tensors alive.
        if kind is OutOfMemoryError:
            sys.modules["torch"].cuda.empty_cache()
        raise kind(f"{self.written}: {fault}")

    def _show(self, fault: str) -> None:
        """Print the traceback of the exception in hand, once for each fault, and not without end."""
        if fault not in self._shown and len(self._shown) < _MOST_TRACEBACKS:
            self._shown.add(fault)
            traceback.print_exc()


def source_folder(written_folder: str | None) -> str:
    """Return the folder in which a traceback's lines are the user's own."""
    return str(Path(written_folder or ".").absolute())


def _kind(error: BaseException) -> type[PluginError | OutOfMemoryError | DeviceLostError]:
    """Return what an exception means for the samples after it, as far as a torch that the class loaded can tell."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, RuntimeError):
        return PluginError
    if isinstance(error, torch.OutOfMemoryError):
        return OutOfMemoryError
    try:
        if torch.cuda.is_initialized():
            torch.zeros(1, device="cuda").item()
    except RuntimeError:  # it answers nothing any more: after a failed assertion in a kernel, say
        return DeviceLostError
    return PluginError
