"""Tiny checkpoints of published architectures with random weights, built from configs when a test needs them.

Each family is a module with ``build(folder)``, which writes a loadable checkpoint of about a megabyte at most, and a
line in ``FAMILIES``, which says what the family cannot take.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Family:
    """What tests need to know of an architecture.

    ``text_only``: it answers a prompt without a picture. ``chat_template``: for the registry entry, where checkpoints
    are published without one.
    """

    text_only: bool = True
    chat_template: str | None = None


PALIGEMMA_PROMPT = (
    "{% for m in messages %}{% for c in m.content %}"
    "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endfor %}"
)

FAMILIES: dict[str, Family] = {
    "aya_vision": Family(),
    "deepseek_vl": Family(),
    "gemma3": Family(),
    "gemma4": Family(),
    "glm46v": Family(),
    "glm4v": Family(),
    "idefics2": Family(),
    "idefics3": Family(),
    "internvl": Family(),
    "llava": Family(),
    "llava_next": Family(),
    "llava_onevision": Family(),
    "minicpmv4_6": Family(),
    "mistral3": Family(),
    "mllama": Family(),
    "ovis2": Family(),
    "paligemma": Family(text_only=False, chat_template=PALIGEMMA_PROMPT),
    "pixtral": Family(),
    "qwen2_5_vl": Family(),
    "qwen2_vl": Family(),
    "qwen3_5": Family(),
    "qwen3_vl": Family(),
    "qwen3_vl_moe": Family(),
    "smolvlm": Family(),
    "video_llama_3": Family(),
}


def build(name: str, folder: Path) -> Path:
    """Write the tiny checkpoint of a family into a folder and return it."""
    import_module("torch").manual_seed(0)  # a few weights keep the values of the architecture's own initialiser
    written: Path = import_module(f"tests.checkpoints.{name}").build(folder)
    return written
