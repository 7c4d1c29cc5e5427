"""TinyVLM in the files and tensor names that LLaVA checkpoints were published with: every transformers since 4.49 loads
them.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tests.conftest import TINY_VLM


def write(folder: Path) -> Path:
    """Write the checkpoint and return its folder."""
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "generation_config.json"):
        shutil.copy(TINY_VLM / name, folder)
    tensors = {_published_name(name): tensor for name, tensor in load_file(TINY_VLM / "model.safetensors").items()}
    tensors["language_model.lm_head.weight"] = tensors["language_model.model.embed_tokens.weight"].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write(folder / "config.json", _config(_read("config.json")))
    processor = _read("processor_config.json")
    images = processor.pop("image_processor") | {"processor_class": "LlavaProcessor"}
    _write(folder / "preprocessor_config.json", images)
    _write(folder / "processor_config.json", processor)
    template = (TINY_VLM / "chat_template.jinja").read_text(encoding="utf-8")
    _write(folder / "chat_template.json", {"chat_template": template})
    names = ("bos_token", "eos_token", "pad_token", "model_max_length", "padding_side", "processor_class")
    tokenizer = {name: value for name, value in _read("tokenizer_config.json").items() if name in names}
    inputs = ["input_ids", "attention_mask"]
    tokenizer |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": inputs, "chat_template": template}
    _write(folder / "tokenizer_config.json", tokenizer)
    return folder


def _published_name(name: str) -> str:
    name = name.removeprefix("model.")
    if name.startswith("vision_tower.") and not name.startswith("vision_tower.vision_model."):
        return name.replace("vision_tower.", "vision_tower.vision_model.", 1)
    return name


def _config(config: dict[str, Any]) -> dict[str, Any]:
    text = {key: value for key, value in config["text_config"].items() if key not in ("dtype", "rope_parameters")}
    text["rope_theta"] = config["text_config"]["rope_parameters"]["rope_theta"]
    vision = {key: value for key, value in config["vision_config"].items() if key != "dtype"}
    rest = {key: value for key, value in config.items() if key != "dtype"}
    return rest | {"torch_dtype": config["dtype"], "text_config": text, "vision_config": vision}


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((TINY_VLM / name).read_text(encoding="utf-8"))
    return content


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")
