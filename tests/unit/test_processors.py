"""Processors without torchvision: their parts, their chat templates, and the limits on what they make of images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import checkpoints
from vlmake.backends.processor import image_options, load_processor
from vlmake.errors import VlmakeError
from vlmake.registry.model_entries import TransformersEntry

IMAGE = Image.effect_mandelbrot((1000, 300), (-2.0, -1.2, 1.0, 1.2), 60).convert("RGB")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build each family's checkpoint once."""
    built: dict[str, Path] = {}

    def find(name: str) -> Path:
        if name not in built:
            built[name] = checkpoints.build(name, tmp_path_factory.mktemp(name))
        return built[name]

    return find


def open_processor(folder: Path, **settings: object) -> Any:
    return load_processor(folder, TransformersEntry.model_validate({"path": str(folder), **settings}))


def process(processor: Any, **images_kwargs: object) -> dict[str, Any]:
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}]
    text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    return dict(processor(text=[text], images=[[IMAGE]], return_tensors="pt", images_kwargs=images_kwargs))


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    same_shapes = {name: tensor.shape for name, tensor in first.items()} == {
        name: tensor.shape for name, tensor in second.items()
    }
    return same_shapes and all(bool((tensor == second[name]).all()) for name, tensor in first.items())


@pytest.mark.parametrize(
    ("family", "pixels"),
    [
        ("qwen2_vl", {"max_pixels": 2048}),
        ("qwen2_vl", {"min_pixels": 8192, "max_pixels": 16384}),
        ("qwen3_vl", {"max_pixels": 2048}),
        ("glm4v", {"max_pixels": 4096}),
        ("internvl", {"max_patches": 2}),
        ("internvl", {"min_patches": 6, "max_patches": 6}),
        ("aya_vision", {"max_patches": 1}),
        ("ovis2", {"max_patches": 1}),
        ("idefics2", {"longest_edge": 24}),
        ("idefics3", {"longest_edge": 32}),
        ("idefics3", {"do_image_splitting": False}),
        ("smolvlm", {"longest_edge": 32, "do_image_splitting": False}),
        ("pixtral", {"longest_edge": 24}),
        ("gemma3", {"do_pan_and_scan": True}),
    ],
)
def test_pixel_budget_of_the_model_equals_that_of_a_call(
    folder: Callable[[str], Path], family: str, pixels: dict[str, object]
) -> None:
    plain = open_processor(folder(family))
    budgeted = open_processor(folder(family), pixels=pixels)
    called = process(plain, **image_options(plain, pixels))
    assert equal(process(budgeted), called)
    assert not equal(process(plain), called), "the budget changes nothing"
    assert equal(process(budgeted, **image_options(budgeted, pixels)), called)


def test_call_may_differ_from_the_budget_of_the_model(folder: Callable[[str], Path]) -> None:
    plain = open_processor(folder("qwen2_vl"))
    small = open_processor(folder("qwen2_vl"), pixels={"max_pixels": 2048})
    wide = {"min_pixels": 8192, "max_pixels": 16384}
    assert equal(process(small, **image_options(small, wide)), process(plain, **image_options(plain, wide)))


@pytest.mark.parametrize(
    ("family", "pixels"), [("idefics2", {"do_image_splitting": True}), ("mllama", {"max_image_tiles": 1})]
)
def test_budget_that_no_call_can_change_is_the_models(
    folder: Callable[[str], Path], family: str, pixels: dict[str, object]
) -> None:
    plain = open_processor(folder(family))
    budgeted = open_processor(folder(family), pixels=pixels)
    assert not equal(process(budgeted), process(plain))
    assert equal(process(budgeted, **image_options(budgeted, pixels)), process(budgeted))
    with pytest.raises(VlmakeError, match=f"`{next(iter(pixels))}` for the whole model only"):
        image_options(plain, pixels)


def test_fewer_tiles_keep_the_numbers_that_the_model_was_trained_with(folder: Callable[[str], Path]) -> None:
    plain = process(open_processor(folder("mllama")))
    limited = process(open_processor(folder("mllama"), pixels={"max_image_tiles": 3}))
    assert plain["pixel_values"].shape == limited["pixel_values"].shape
    one = process(open_processor(folder("mllama"), pixels={"max_image_tiles": 1}))
    assert one["aspect_ratio_ids"].tolist() == [[1]]
    assert one["aspect_ratio_mask"].tolist() == [[[1, 0, 0, 0]]]


@pytest.mark.parametrize(
    ("family", "key", "taken"),
    [
        ("qwen2_vl", "max_patches", "it takes max_pixels, min_pixels"),
        ("internvl", "max_pixels", "it takes max_patches, min_patches"),
        ("idefics3", "min_pixels", "it takes do_image_splitting, longest_edge"),
        ("gemma3", "longest_edge", "it takes do_pan_and_scan"),
        ("mllama", "max_patches", "it takes max_image_tiles"),
        ("llava", "longest_edge", "it takes none"),
        ("llava_next", "max_pixels", "it takes none"),
    ],
)
def test_unknown_budget_is_refused_with_the_known_ones(
    folder: Callable[[str], Path], family: str, key: str, taken: str
) -> None:
    with pytest.raises(VlmakeError, match=f"does not take the pixel budget `{key}`: {taken}$"):
        open_processor(folder(family), pixels={key: 64})
    with pytest.raises(VlmakeError, match=f"does not take the pixel budget `{key}`: {taken}$"):
        image_options(open_processor(folder(family)), {key: 64})


def test_budget_of_a_prompt_is_no_image_option(folder: Callable[[str], Path]) -> None:
    pixels = {"prompt_patches": 8, "first_image_scale": 2}
    processor = open_processor(folder("llava"), pixels=pixels)
    assert image_options(processor, pixels) == {}


def test_template_may_stand_in_any_of_the_files_in_use(folder: Callable[[str], Path], tmp_path: Path) -> None:
    template = (folder("qwen2_vl") / "chat_template.jinja").read_text(encoding="utf-8")

    def variant(name: str) -> Path:
        copy = tmp_path / name
        copy.mkdir()
        for file in folder("qwen2_vl").iterdir():
            if file.name != "chat_template.jinja":
                (copy / file.name).write_bytes(file.read_bytes())
        return copy

    legacy = variant("legacy")
    (legacy / "chat_template.json").write_text(json.dumps({"chat_template": template}), encoding="utf-8")
    tokenizers = variant("tokenizers")
    settings = json.loads((tokenizers / "tokenizer_config.json").read_text(encoding="utf-8"))
    (tokenizers / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
    processors = variant("processors")
    (processors / "processor_config.json").write_text(
        json.dumps({"processor_class": "Qwen2VLProcessor", "chat_template": template})
    )
    for found in (legacy, tokenizers, processors):
        assert open_processor(found).chat_template == template
    bare = variant("bare")
    assert open_processor(bare, chat_template="{{ 1 }}").chat_template == "{{ 1 }}"
    with pytest.raises(VlmakeError, match="has no chat template: give the model's prompt format as `chat_template`"):
        open_processor(bare)


def test_processor_class_comes_from_the_configuration_where_no_file_names_it(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    for file in folder("qwen2_vl").iterdir():
        if file.name != "processor_config.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert type(open_processor(tmp_path)).__name__ == "Qwen2VLProcessor"


@pytest.mark.parametrize("family", ["llava", "qwen2_vl"])
def test_image_processor_without_a_pillow_form_is_one_line(
    folder: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    for file in folder(family).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "Lfm2VlImageProcessor"}')
    with pytest.raises(VlmakeError, match=r"cannot be loaded: .*torchvision: Lfm2VlImageProcessor") as caught:
        open_processor(tmp_path)
    assert "\n" not in str(caught.value)
