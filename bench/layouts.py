"""Models with random weights in the layout and size of published ones, and sets of questions in the shape of MME.

Nothing is downloaded: the tokenizer knows the words that are asked and is filled up to the published vocabulary, and
the weights are drawn on the device where they are used. Only torch, transformers and vlmake's backend are needed.
"""

import hashlib
import io
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers as tf
from PIL import Image
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from vlmake.backends.processor import load_processor
from vlmake.backends.transformers import TransformersBackend
from vlmake.inference.shard import Asking, Question, make_question

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}IMAGE\n{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed,"
    " and polite answers to the human's questions."
)
THINGS = ("dog", "cat", "bicycle", "boat", "traffic light", "person", "umbrella", "clock", "bottle", "chair")
COLOURS = ("red", "green", "blue", "yellow", "black", "white", "orange", "brown", "pink")
ASKED = (
    "Is there a {colour} {thing} in this image? Please answer yes or no.",
    "Are there {number} {colour} things next to the {thing} in the image? Please answer yes or no.",
)
WORD = r" ?\w+|[^\w\s]|\s"


class Tower(NamedTuple):
    """The size of a stack of transformer layers."""

    hidden: int
    layers: int
    heads: int
    intermediate: int


@dataclass(frozen=True)
class Size:
    """The size of a model. ``side`` and ``patch`` are pixels of what its vision tower sees at once."""

    vision: Tower
    text: Tower
    key_heads: int
    vocabulary: int
    side: int
    patch: int
    pixels: Mapping[str, int] = field(default_factory=dict)

    @property
    def patches(self) -> int:
        """Return how many patches a picture or tile of ``side`` pixels has."""
        return (self.side // self.patch) ** 2


@dataclass(frozen=True)
class Pixels:
    """A pixel budget, in the one form in which the backend reads it."""

    values: Mapping[str, int]

    def model_dump(self, *, exclude_none: bool) -> dict[str, int]:
        """Return the keys that are given."""
        return {key: value for key, value in self.values.items() if not (exclude_none and value is None)}


@dataclass(frozen=True)
class Entry:
    """What the backend reads of a registry entry; the registry itself needs more libraries than torch brings."""

    image_groups: str
    pixels: Pixels = Pixels({})
    system: str | None = None
    max_images: int | None = None
    chat_template: str | None = None
    trust_remote_code: bool = False
    tensor_parallel: bool = False


@dataclass(frozen=True)
class Layout:
    """An architecture: how its configuration, its image processor and its prompt are made for a size.

    ``window`` tells how many patches attend to each other in the vision tower.
    """

    special: Sequence[str]
    named: Mapping[str, str]
    image: str
    config: Callable[[Size, Callable[[str], int]], Any]
    images: Callable[[Size], Any]
    settings: Callable[[Size], dict[str, Any]]
    window: Callable[[Size], int]


def text_config(size: Size, model_type: str) -> dict[str, Any]:
    return {
        "model_type": model_type, "vocab_size": size.vocabulary, "hidden_size": size.text.hidden,
        "intermediate_size": size.text.intermediate, "num_hidden_layers": size.text.layers,
        "num_attention_heads": size.text.heads, "num_key_value_heads": size.key_heads,
        "max_position_embeddings": 32768, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip


def vision_config(size: Size) -> dict[str, Any]:
    return {
        "hidden_size": size.vision.hidden, "intermediate_size": size.vision.intermediate,
        "num_hidden_layers": size.vision.layers, "num_attention_heads": size.vision.heads,
    }  # fmt: skip


def llava_config(size: Size, token: Callable[[str], int]) -> Any:
    vision = {"model_type": "clip_vision_model", "image_size": size.side, "patch_size": size.patch}
    return tf.LlavaConfig(
        text_config=text_config(size, "llama"),
        vision_config=vision | vision_config(size),
        image_token_index=token("<image>"),
        image_seq_length=size.patches,
        vision_feature_select_strategy="default",
    )


def qwen2_vl_config(size: Size, token: Callable[[str], int]) -> Any:
    head = size.text.hidden // size.text.heads
    sections = [head // 8, 3 * head // 16, 3 * head // 16]
    return tf.Qwen2VLConfig(
        text_config=text_config(size, "qwen2_vl_text")
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}},
        vision_config={
            "depth": size.vision.layers, "embed_dim": size.vision.hidden, "num_heads": size.vision.heads,
            "mlp_ratio": size.vision.intermediate // size.vision.hidden, "hidden_size": size.text.hidden,
            "patch_size": size.patch,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )  # fmt: skip


def internvl_config(size: Size, token: Callable[[str], int]) -> Any:
    vision = {"image_size": [size.side] * 2, "patch_size": [size.patch] * 2, "attention_bias": True}
    return tf.InternVLConfig(
        text_config=text_config(size, "llama"),
        vision_config=vision | vision_config(size),
        image_token_id=token("<IMG_CONTEXT>"),
        image_seq_length=size.patches // 4,
        tie_word_embeddings=False,
    )


LAYOUTS = {
    "LLaVA": Layout(
        ["<image>"],
        {"image_token": "<image>"},
        "<image>",
        llava_config,
        lambda size: tf.CLIPImageProcessorPil(
            size={"shortest_edge": size.side}, crop_size={"height": size.side, "width": size.side}
        ),
        lambda size: {
            "processor_class": "LlavaProcessor", "patch_size": size.patch, "image_token": "<image>",
            "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1,
        },
        lambda size: size.patches + 1,
    ),
    "Qwen2-VL": Layout(
        ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"],
        {},
        "<|vision_start|><|image_pad|><|vision_end|>",
        qwen2_vl_config,
        lambda size: tf.Qwen2VLImageProcessorPil(patch_size=size.patch),
        lambda size: {"processor_class": "Qwen2VLProcessor"},
        lambda size: size.patches,
    ),
    "InternVL": Layout(
        ["<img>", "</img>", "<IMG_CONTEXT>", "<video>"],
        {
            "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        "<IMG_CONTEXT>",
        internvl_config,
        lambda size: tf.GotOcr2ImageProcessorPil(size={"height": size.side, "width": size.side}, crop_to_patches=True),
        lambda size: {"processor_class": "InternVLProcessor", "image_seq_length": size.patches // 4},
        lambda size: size.patches + 1,
    ),
}  # fmt: skip


def random_model(layout: Layout, size: Size, device: str, dtype: torch.dtype, *, gain: float, seed: int = 0) -> Any:
    """Return a model whose weights are drawn on its device; ``gain`` 2 makes small models react to all they are given.

    It never stops by itself unless it happens to write the end token.
    """
    config = layout.config(size, tokenizer(layout, size).convert_tokens_to_ids)
    with torch.device(device):
        model = tf.AutoModelForImageTextToText.from_config(config, dtype=dtype)
    generator = torch.Generator(device).manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim >= 2:
                weight.normal_(0.0, gain / weight[0].numel() ** 0.5, generator=generator)
    model.generation_config.eos_token_id = 2
    model.generation_config.pad_token_id = 0
    return model.eval()


def make_processor(layout: Layout, size: Size, folder: Path) -> Any:
    """Write the processor's files and load them the way the product does."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer(layout, size).save_pretrained(folder)
    layout.images(size).save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(layout.settings(size)), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT.replace("IMAGE", layout.image), encoding="utf-8")
    return load_processor(folder, Entry("auto", Pixels(size.pixels)))


def tokenizer(layout: Layout, size: Size) -> Any:
    """Return a tokenizer of one token a word, filled up with numbers to the size of the vocabulary."""
    special = ["<pad>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", *layout.special]
    names = dict.fromkeys([*special, *_words()])
    filler = (f"#{number}" for number in range(size.vocabulary - len(names)))
    vocabulary = {name: number for number, name in enumerate([*names, *filler])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "isolated")
    made.add_special_tokens(special)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=dict(layout.named),
    )  # fmt: skip


def _words() -> list[str]:
    texts = [*ASKED, *THINGS, *COLOURS, SYSTEM, "system user assistant two three four five", "\n"]
    found = [word for text in texts for word in re.findall(WORD, text)]
    return [spelling for word in found for spelling in (word, f" {word.lstrip(' ')}")]


@dataclass(frozen=True)
class Pictures:
    """Images in memory, by digest."""

    held: Mapping[str, bytes]

    def bytes(self, digest: str) -> bytes:
        """Return the original bytes of an image."""
        return self.held[digest]


def photographs(count: int, width: int, height: int, workers: int = 1) -> Pictures:
    """Return JPEGs of smooth noise, as large in pixels and in bytes as photographs."""
    with ThreadPoolExecutor(workers) as pool:
        files = list(pool.map(lambda seed: _photograph(seed, width, height), range(count)))
    return Pictures({hashlib.sha256(data).hexdigest(): data for data in files})


def _photograph(seed: int, width: int, height: int) -> bytes:
    small = (max(1, width // 8), max(1, height // 8))
    noise = Image.frombytes("RGB", small, random.Random(seed).randbytes(3 * small[0] * small[1]))
    buffer = io.BytesIO()
    noise.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def ask(pictures: Iterable[str], per_image: int, asking: Asking, seed: int = 0) -> list[Question]:
    """Return questions of MME's length, ``per_image`` different ones on each picture."""
    draw = random.Random(seed)
    questions = []
    for digest in pictures:
        asked: dict[str, None] = {}
        while len(asked) < per_image:
            words = {"colour": draw.choice(COLOURS), "thing": draw.choice(THINGS)}
            asked[draw.choice(ASKED).format(**words, number=draw.choice(("two", "three", "four", "five")))] = None
        for text in asked:
            messages = [{"type": "image", "image": digest}, {"type": "text", "text": text}]
            questions.append(make_question(asking, str(len(questions)), messages, None))
    return questions


class KeptAnswers:
    """Takes answers as a journal does, and keeps them in memory."""

    def __init__(self) -> None:
        self.by_key: dict[str, Any] = {}

    def append(self, predictions: Sequence[Any]) -> None:
        """Keep a batch of predictions."""
        self.by_key |= {prediction.key: prediction for prediction in predictions}

    def texts(self, questions: Sequence[Question]) -> list[str]:
        """Return the answers in the order of the questions; stop at a question that has none."""
        answers = [self.by_key[question.key] for question in questions]
        if failed := [answer.error for answer in answers if answer.prediction is None]:
            raise SystemExit(f"{len(failed)} questions have no answer, the first: {failed[0]}")
        return [answer.prediction for answer in answers]


def backend(model: Any, processor: Any, image_groups: str, system: str | None) -> TransformersBackend:
    """Return the product's backend around a model that is loaded already."""
    return TransformersBackend(model, processor, Entry(image_groups, system=system), loading={})


def not_shared(made: TransformersBackend) -> dict[str, str]:
    """Return why images are not shared, by the way of sharing that its self-check refused."""
    modes = made.facts()["image_groups"]
    return {mode: why for mode, why in modes.items() if why not in ("equal", "unchecked")}


def loop_of_one(model: Any, processor: Any, system: str | None, questions: Sequence[Question], pictures: Pictures,
                new_tokens: int) -> list[str]:  # fmt: skip
    """Answer one question after the other with bare transformers, the way the adapters of other harnesses do."""
    texts = []
    for question in questions:
        shown, asked = question.messages
        image = Image.open(io.BytesIO(pictures.bytes(shown["image"]))).convert("RGB")
        conversation = [{"role": "user", "content": [{"type": "image"}, dict(asked)]}]
        if system:
            conversation.insert(0, {"role": "system", "content": [{"type": "text", "text": system}]})
        prompt = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        begun = prompt.startswith(processor.tokenizer.bos_token)
        inputs = processor(text=[prompt], images=[image], add_special_tokens=not begun, return_tensors="pt")
        inputs = inputs.to(model.device, dtype=model.dtype)
        with torch.inference_mode():
            ids = model.generate(**inputs, do_sample=False, max_new_tokens=new_tokens)
        answer = ids[0, inputs["input_ids"].shape[1] :]
        texts.append(processor.tokenizer.decode(answer, skip_special_tokens=True))
    return texts


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
