"""The base class that VLMEvalKit's development guide gives to models, with that guide's names."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from vlmake.model_classes.guide import concat_images_vlmeval, parse_file

_BLINK_HEIGHT = 512  # pixels of the images that VLMEvalKit puts side by side on this one benchmark


class BaseModel:
    """A model as a class, to be inherited from: ``generate_inner(message, dataset=None)`` returns its answer.

    Attributes:
        INTERLEAVE: Whether images may stand anywhere in the text.
        allowed_types: What a message may consist of.
        dump_image_func: What writes a row's images to files, once somebody has set it.
    """

    INTERLEAVE = False
    allowed_types: ClassVar[Sequence[str]] = ["text", "image", "video"]

    def __init__(self) -> None:
        """Start without a function that writes images."""
        self.dump_image_func: Callable[[Any], list[str]] | None = None

    def use_custom_prompt(self, dataset: str | None) -> bool:
        """Tell whether ``build_prompt`` makes the prompts of a dataset."""
        return False

    def build_prompt(self, line: Any, dataset: str | None = None) -> Any:
        """Return the message for a row."""
        raise NotImplementedError(f"{type(self).__name__} has no method build_prompt(self, line, dataset=None)")

    def set_dump_image(self, dump_image_func: Callable[[Any], list[str]]) -> None:
        """Take the function that writes a row's images to files and returns their paths."""
        self.dump_image_func = dump_image_func

    def dump_image(self, line: Any, dataset: str | None = None) -> list[str]:
        """Write a row's images to files and return their paths."""
        func = getattr(self, "dump_image_func", None)  # a class may leave out super().__init__()
        if func is None:
            raise RuntimeError("nothing was set to write images with: call set_dump_image first")
        paths: list[str] = func(line)
        return paths

    def generate_inner(self, message: list[dict[str, Any]], dataset: str | None = None) -> str:
        """Return the answer to a message, a list of dict(type=…, value=…)."""
        raise NotImplementedError(f"{type(self).__name__} has no method generate_inner(self, message, dataset=None)")

    def check_content(self, msgs: Any) -> str:
        """Return the form of a message: ``str``, ``dict``, ``liststr``, ``listdict``, or ``unknown``."""
        if isinstance(msgs, str | dict):
            return "str" if isinstance(msgs, str) else "dict"
        if isinstance(msgs, list):
            kinds = {self.check_content(item) for item in msgs}
            if kinds <= {"str"} or kinds <= {"dict"}:
                return "liststr" if kinds <= {"str"} else "listdict"
        return "unknown"

    def preproc_content(self, inputs: Any) -> list[dict[str, Any]] | None:
        """Return a message of any form as a list of dict(type=…, value=…); None for what is none."""
        form = self.check_content(inputs)
        if form == "str":
            return [{"type": "text", "value": inputs}]
        if form == "liststr":
            return [{"type": _kind(item), "value": item} for item in inputs]
        listed = [inputs] if form == "dict" else inputs
        if form == "unknown" or not all("type" in item and "value" in item for item in listed):
            return None
        return [dict(item) for item in listed]

    def generate(self, message: Any, dataset: str | None = None) -> str:
        """Return the answer to a message of any form."""
        return self.generate_inner(self._checked(message), dataset)

    def chat(self, messages: list[dict[str, Any]], dataset: str | None = None) -> str:
        """Return the next turn of a conversation, a list of dict(role=…, content=…), by ``chat_inner``."""
        inner = getattr(self, "chat_inner", None)
        if inner is None:
            raise NotImplementedError(f"{type(self).__name__} has no method chat_inner(self, message, dataset=None)")
        answer: str = inner([turn | {"content": self._checked(turn["content"])} for turn in messages], dataset=dataset)
        return answer

    def message_to_promptimg(self, message: list[dict[str, Any]], dataset: str | None = None) -> tuple[str, str | None]:
        """Return the texts joined by newlines and the path of the first image, None without one.

        On BLINK the images are put side by side, as VLMEvalKit does.
        """
        images = [str(part["value"]) for part in message if part["type"] == "image"]
        prompt = "\n".join(part["value"] for part in message if part["type"] == "text")
        if dataset == "BLINK" and images:
            return prompt, concat_images_vlmeval(images, target_size=_BLINK_HEIGHT)
        return prompt, images[0] if images else None

    def concat_tilist(self, message: list[dict[str, Any]]) -> tuple[str, list[str]]:
        """Return the texts as one, `` <image> `` at the place of every image, and the images' paths."""
        parts = [part["value"] if part["type"] == "text" else " <image> " for part in message]
        return "".join(parts), [part["value"] for part in message if part["type"] == "image"]

    def _checked(self, message: Any) -> list[dict[str, Any]]:
        content = self.preproc_content(message)
        if content is None:
            raise ValueError(f"no message: {message!r:.200}")
        for part in content:
            if part["type"] not in self.allowed_types:
                raise ValueError(f"a message has no parts of type '{part['type']}'")
        return content


def _kind(item: str) -> str:
    mime, _ = parse_file(item)
    return "text" if mime in (None, "unknown", "url") else str(mime).partition("/")[0]
