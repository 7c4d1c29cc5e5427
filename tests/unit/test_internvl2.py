"""A published InternVL checkpoint, converted, does what its own code does.

``tests/data/internvl2/original.json`` holds what the published code gave for the tiny checkpoints written
here: prompts, token ids, image features, logits, greedy answers and tiles.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from tests.checkpoints import internvl2_original as original
from tests.checkpoints.internvl2_original import edit_json, replace_weights, tensors
from vlmake.backends import load
from vlmake.backends.base import Backend, Output, Request, Turn
from vlmake.backends.processor import load_processor
from vlmake.converters import convert, internvl2, version
from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
from vlmake.registry.model_entries import TransformersEntry

ORIGINAL = json.loads((Path(__file__).parents[1] / "data" / "internvl2" / "original.json").read_text(encoding="utf-8"))
SIZES = list(ORIGINAL["sizes"])
TURNS: dict[str, list[tuple[str, list[Any]]]] = {
    "one": [("user", [0, "What is in the picture?"])],
    "two": [("user", [0, 1, "Which one is the cat? 请直接回答选项字母。"])],
    "interleaved": [("user", ["First ", 0, " then ", 2, " and the question?"])],
    "text": [("user", ["Hello  there,\nwho are you?"])],
    "two_texts": [("user", [1, "First line.", "Second line."])],
    "history": [("user", [1, "What is it?"]), ("assistant", ["A cat."]), ("user", ["And here?", 2, "Tell me."])],
}


def picture(number: int, size: tuple[int, int]) -> Image.Image:
    chance = np.random.RandomState(number)
    blur = Image.fromarray(chance.randint(0, 256, (5, 7, 3)).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    noise = chance.randint(0, 40, (size[1], size[0], 3)).astype(np.uint8)
    return Image.fromarray(np.clip(np.asarray(blur).astype(int) + noise, 0, 255).astype(np.uint8))


PICTURES = [picture(1, (130, 60)), picture(2, (56, 56)), picture(3, (70, 200))]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("published")
    return lambda size: folder / size if (folder / size).is_dir() else original.write(folder / size, size)


@pytest.fixture(scope="module")
def converted(published: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    cache = tmp_path_factory.mktemp("converted")
    return lambda size: convert("internvl2", published(size), size, cache)


@pytest.fixture
def source(published: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the 2B checkpoint to damage."""
    return shutil.copytree(published("2B"), tmp_path / "source")


def processor_of(folder: Path) -> Any:
    return load_processor(folder, TransformersEntry.model_validate({"path": str(folder), "pixels": {"max_patches": 6}}))


def conversation(case: str) -> list[dict[str, Any]]:
    return [
        {"role": role, "content": [{"type": "image"} if isinstance(part, int) else {"type": "text", "text": part}
                                   for part in parts]}
        for role, parts in TURNS[case]
    ]  # fmt: skip


def rendered(processor: Any, case: str) -> str:
    return str(processor.apply_chat_template(conversation(case), add_generation_prompt=True, tokenize=False))


def model_inputs(processor: Any, case: str) -> Any:
    images = [PICTURES[part] for _, parts in TURNS[case] for part in parts if isinstance(part, int)]
    return processor(text=[rendered(processor, case)], images=images or None, return_tensors="pt")


def load_model(folder: Path) -> Any:
    model, report = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not any(report.values()), report
    return model.eval()


@pytest.mark.parametrize("size", SIZES)
def test_prompts_and_token_ids_are_the_original_ones(converted: Callable[[str], Path], size: str) -> None:
    processor = processor_of(converted(size))
    for case, expected in ORIGINAL["sizes"][size]["cases"].items():
        prompt = rendered(processor, case).replace("<IMG_CONTEXT>", "<image>")
        assert prompt.removeprefix(" ") == expected["prompt"], case
        assert model_inputs(processor, case)["input_ids"][0].tolist() == expected["ids"], case


@pytest.mark.parametrize("size", SIZES)
def test_features_logits_and_answers_are_the_original_ones(converted: Callable[[str], Path], size: str) -> None:
    processor, model = processor_of(converted(size)), load_model(converted(size))
    for case, expected in ORIGINAL["sizes"][size]["cases"].items():
        inputs = model_inputs(processor, case)
        with torch.inference_mode():
            logits = model(**inputs).logits[0, -1]
            answer = model.generate(**inputs, max_new_tokens=12)[0, inputs["input_ids"].shape[1] :]
        np.testing.assert_allclose(logits[:8].numpy(), expected["logits"], atol=1e-4)
        assert answer.tolist() == expected["answer_ids"], case
        if "features" in expected:
            features = model.get_image_features(inputs["pixel_values"], return_dict=True).pooler_output
            np.testing.assert_allclose(features[0, 0, :8].detach().numpy(), expected["features"], atol=1e-4)
    assert {case["eos"] for case in ORIGINAL["sizes"][size]["cases"].values()} == {model.generation_config.eos_token_id}


@pytest.mark.parametrize("size", [size for size in SIZES if "strings" in ORIGINAL["sizes"][size]])
def test_hard_strings_have_the_original_token_ids(converted: Callable[[str], Path], size: str) -> None:
    processor = processor_of(converted(size))
    lead = " " if rendered(processor, "text").startswith(" ") else ""
    for text, ids in ORIGINAL["sizes"][size]["strings"]:
        found = processor.tokenizer(lead + text if text else "")["input_ids"]
        assert found == ids, text


@pytest.mark.parametrize("size", ["1B", "2B", "4B", "40B", "76B"])
def test_answers_decode_to_clean_text(converted: Callable[[str], Path], size: str) -> None:
    tokenizer = processor_of(converted(size)).tokenizer
    for text in ("Yes", "the quick  brown", "你好，世界！", "emoji 😀\nnext line", "A. one"):
        assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text


def test_tiles_are_the_original_ones(converted: Callable[[str], Path]) -> None:
    images = processor_of(converted("2B")).image_processor
    mean, deviation = np.array(images.image_mean), np.array(images.image_std)
    names = list(dict.fromkeys(name.split("/")[0] for name in ORIGINAL["tiles"]))
    for name, (count, digest) in ORIGINAL["tiles"].items():
        size, most = name.split("/")
        width, height = map(int, size.split("x"))
        tiles = images(
            picture(names.index(size), (width, height)), size={"height": 448, "width": 448}, max_patches=int(most),
            return_tensors="np",
        )["pixel_values"]  # fmt: skip
        colors = np.rint((tiles * deviation.reshape(3, 1, 1) + mean.reshape(3, 1, 1)) * 255).astype(np.uint8)
        assert (len(tiles), hashlib.sha256(colors.tobytes()).hexdigest()) == (count, digest), name


def test_published_limits_are_kept(converted: Callable[[str], Path]) -> None:
    folder = converted("26B")
    images = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    assert (images["min_patches"], images["max_patches"], images["size"]) == (1, 12, {"height": 56, "width": 56})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["text_config"]["rope_parameters"] == {"rope_type": "dynamic", "rope_theta": 1e6, "factor": 2.0}
    assert config["vision_config"]["use_qk_norm"] and config["vision_config"]["norm_type"] == "rms_norm"
    assert not config["tie_word_embeddings"] and "auto_map" not in config


def request(case: str) -> Request:
    used = sorted({part for _, parts in TURNS[case] for part in parts if isinstance(part, int)})
    encoded: dict[str, bytes] = {}
    for number in used:
        buffer = io.BytesIO()
        PICTURES[number].save(buffer, "PNG")
        encoded[str(number)] = buffer.getvalue()
    turns = [
        Turn(role, [{"type": "image", "image": str(part)} if isinstance(part, int) else {"type": "text", "text": part}
                    for part in parts])  # type: ignore[arg-type]
        for role, parts in TURNS[case]
    ]  # fmt: skip
    return Request(turns, encoded, 12)


def answers(backend: Backend, requests: list[Request]) -> list[Output]:
    return backend.generate(backend.prepare(requests))


@pytest.mark.parametrize("size", ["2B", "4B", "76B"])
def test_a_batch_through_the_backend_answers_as_the_original_does_one_by_one(
    converted: Callable[[str], Path], size: str
) -> None:
    folder = converted(size)
    entry = TransformersEntry.model_validate(
        {"path": str(folder), "dtype": "float32", "device": "cpu", "pixels": {"max_patches": 6}}
    )
    backend = load(TransformersSpec("Tiny", entry, folder, "local:x", "float32"), RuntimeOptions("cpu"))
    singles = [answers(backend, [request(case)])[0] for case in TURNS]
    assert answers(backend, [request(case) for case in TURNS]) == singles
    for case, output in zip(TURNS, singles, strict=True):
        expected = ORIGINAL["sizes"][size]["cases"][case]
        ids = [token for token in expected["answer_ids"] if token != expected["eos"]]
        assert output.prompt_tokens == len(expected["ids"])
        assert output.text == processor_of(folder).tokenizer.decode(ids, skip_special_tokens=True)


def assert_equal_tensors(folder: Path, other: Path) -> None:
    left, right = tensors(folder), tensors(other)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_weights_are_written_in_bounded_shards(
    published: Callable[[str], Path], converted: Callable[[str], Path], tmp_path: Path
) -> None:
    internvl2.convert(published("2B"), tmp_path, shard_bytes=100_000)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text(encoding="utf-8"))
    files = sorted(file.name for file in tmp_path.glob("*.safetensors"))
    assert len(files) > 2 and files[-1] == f"model-{len(files):05d}-of-{len(files):05d}.safetensors"
    for name in files:
        content = load_file(tmp_path / name)
        assert sum(tensor.nbytes for tensor in content.values()) <= 100_000
        assert set(content) == {tensor for tensor, file in index["weight_map"].items() if file == name}
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in tensors(tmp_path).values())
    assert_equal_tensors(tmp_path, converted("2B"))
    load_model(tmp_path)


@pytest.mark.parametrize("files", [1, 3])
def test_bin_weights_give_the_same_tensors(converted: Callable[[str], Path], tmp_path: Path, files: int) -> None:
    source = original.write(tmp_path / "bin", "4B", weights="bin", files=files)
    assert_equal_tensors(convert("internvl2", source, "bin", tmp_path / "cache"), converted("4B"))


def test_number_format_is_kept(source: Path, tmp_path: Path) -> None:
    for file in source.glob("*.safetensors"):
        save_file({name: tensor.bfloat16() for name, tensor in load_file(file).items()}, file)
    folder = convert("internvl2", source, "half", tmp_path / "cache")
    assert {tensor.dtype for tensor in tensors(folder).values()} == {torch.bfloat16}


def test_shared_embeddings_stay_shared(published: Callable[[str], Path], tmp_path: Path) -> None:
    source = shutil.copytree(published("1B"), tmp_path / "source")
    content = tensors(source)
    del content["language_model.lm_head.weight"]
    replace_weights(source, content)
    edit_json(source / "config.json", lambda config: config["llm_config"].update(tie_word_embeddings=True))
    model = load_model(convert("internvl2", source, "tied", tmp_path / "cache"))
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_the_system_sentence_is_the_checkpoints_own(source: Path, tmp_path: Path) -> None:
    file = source / "conversation.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(original.SYSTEM, 'You are "InternLM" (书生·浦语).'), encoding="utf-8")
    prompt = rendered(processor_of(convert("internvl2", source, "own", tmp_path / "cache")), "text")
    assert prompt.startswith('<|im_start|>system\nYou are "InternLM" (书生·浦语).<|im_end|><|im_start|>user\nHello')


def test_another_system_text_takes_the_place_of_the_sentence(converted: Callable[[str], Path]) -> None:
    processor = processor_of(converted("2B"))
    turns = [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *conversation("text")]
    prompt = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\nHello")


def test_a_checkpoint_without_its_template_file_gets_the_known_one(
    source: Path, converted: Callable[[str], Path], tmp_path: Path
) -> None:
    (source / "conversation.py").unlink()
    bare = convert("internvl2", source, "bare", tmp_path / "cache")
    assert rendered(processor_of(bare), "two") == rendered(processor_of(converted("2B")), "two")


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        ("internvl_zh", " <human>: <image>\nWhat is it? <bot>: A cat.</s><human>: And here?<image>\nTell me. <bot>:"),
        ("vicuna_v1.1", "to the user's questions. USER: <image>\nWhat is it? ASSISTANT: A cat.</s>"
                        "USER: And here?<image>\nTell me. ASSISTANT:"),
    ],
)  # fmt: skip
def test_older_templates(source: Path, tmp_path: Path, template: str, prompt: str) -> None:
    (source / "conversation.py").unlink()
    edit_json(source / "config.json", lambda config: config.update(template=template))
    folder = convert("internvl2", source, template.replace(".", "_"), tmp_path / "cache")
    assert rendered(processor_of(folder), "history").replace("<IMG_CONTEXT>", "<image>").endswith(prompt)
    assert json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"] == 2


def test_a_conversion_is_made_once(published: Callable[[str], Path], tmp_path: Path) -> None:
    folder = convert("internvl2", published("2B"), "k", tmp_path)
    assert folder.name == f"internvl2-v{version('internvl2')}-k"
    made = (folder / "config.json").stat().st_ino
    assert convert("internvl2", tmp_path / "gone", "k", tmp_path) == folder
    assert (folder / "config.json").stat().st_ino == made


def test_a_killed_conversion_leaves_nothing_and_the_one_that_waits_goes_on(
    source: Path, published: Callable[[str], Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    (source / "config.json").unlink()
    os.mkfifo(source / "config.json")  # whoever reads it waits in the middle of a conversion
    program = "import sys, pathlib, vlmake.converters as c; c.convert('internvl2', *map(pathlib.Path, sys.argv[1:2]), 'k', pathlib.Path(sys.argv[2]))"  # noqa: E501
    stuck = subprocess.Popen([sys.executable, "-c", program, str(source), str(cache)])
    part = cache / ".internvl2-v1-k.part"
    while not part.is_dir():
        assert stuck.poll() is None
        time.sleep(0.01)
    (part / "model-00001-of-00001.safetensors").write_bytes(b"half")
    found: list[Path] = []
    waiting = threading.Thread(target=lambda: found.append(convert("internvl2", published("2B"), "k", cache)))
    waiting.start()
    waiting.join(timeout=0.3)
    assert waiting.is_alive() and not (cache / "internvl2-v1-k").exists()
    stuck.kill()
    stuck.wait()
    waiting.join()
    assert not part.exists()
    load_model(found[0])


def test_the_version_is_known_without_torch() -> None:
    program = "import sys, vlmake.converters as c; print(c.version('internvl2'), 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["1", "False"]
