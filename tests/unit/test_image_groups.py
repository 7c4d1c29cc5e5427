"""Questions on the same pictures share them, and answer the same in float32: every family, shared and not."""

import io
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests import checkpoints
from tests.checkpoints import FAMILIES
from tests.conftest import TINY_VLM
from vlmake.backends import groups, load
from vlmake.backends.base import Output, Request, Turn
from vlmake.backends.transformers import TransformersBackend
from vlmake.model_spec import ModelSpec, RuntimeOptions
from vlmake.registry import ModelEntry

# Where a prefix cannot be shared: attention in a window that these prompts fill, a recurrent state, or a processor that
# writes the prompt anew. Cross attention takes no encoded pictures at all.
NO_PREFIX = {"aya_vision", "gemma3", "gemma4", "minicpmv4_6", "qwen3_5"}
NO_SHARING = {"mllama", "paligemma"}


def picture(seed: int, size: tuple[int, int]) -> bytes:
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = {name: picture(seed, (40 + 14 * seed, 64 - 6 * seed)) for seed, name in enumerate("abcd")}


def ask(text: str, *names: str, text_first: bool = False) -> Request:
    shown = [{"type": "image", "image": name} for name in names]
    said = [{"type": "text", "text": text}]
    return Request([Turn("user", said + shown if text_first else shown + said)], PICTURES, 6)


# Groups of three, two and one question, of one picture and of two, in one batch.
GROUPED = [
    ask("What is this?", "a"),
    ask("A question that is a good deal longer, so that ends are padded?", "a"),
    ask("Hm?", "a"),
    ask("What is this?", "b"),
    ask("Is there a dog?", "b"),
    ask("The only one here.", "c"),
    ask("Which of the two?", "c", "d"),
    ask("Are they alike, or not at all?", "c", "d"),
]
TEXT_FIRST = [
    ask(text, name, text_first=True) for name in "ab" for text in ("What is this?", "Is it red or is it blue?")
]


def open_backend(folder: Path, family: str, **settings: object) -> TransformersBackend:
    template = FAMILIES[family].chat_template if family in FAMILIES else None
    content = {"path": str(folder), "dtype": "float32", "device": "cpu", "chat_template": template, **settings}
    spec = ModelSpec("Tiny", ModelEntry.model_validate(content), folder, "local:x", str(content["dtype"]))
    backend = load(spec, RuntimeOptions("cpu"))
    assert isinstance(backend, TransformersBackend)
    return backend


def answers(backend: TransformersBackend, requests: Sequence[Request]) -> list[Output]:
    return backend.generate(backend.prepare(requests))


@pytest.fixture(scope="module", params=["TinyVLM", *FAMILIES])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY_VLM if family == "TinyVLM" else checkpoints.build(family, tmp_path_factory.mktemp(family))


@pytest.fixture(scope="module")
def plain(folder: Path, family: str) -> list[list[Output]]:
    backend = open_backend(folder, family, image_groups="off")
    given = [answers(backend, GROUPED), answers(backend, TEXT_FIRST)]
    assert backend.facts()["samples"] == {"plain": 12, "prefix": 0, "features": 0}
    return given


@pytest.mark.parametrize("mode", ["auto", "features"])
def test_shared_pictures_give_the_same_answers(folder: Path, family: str, plain: list[list[Output]], mode: str) -> None:
    backend = open_backend(folder, family, image_groups=mode)
    for _ in range(2):  # the first batch is the self-check, the second relies on it
        assert answers(backend, GROUPED) == plain[0]
        assert answers(backend, TEXT_FIRST) == plain[1]
    facts = backend.facts()
    if family in NO_SHARING:
        assert facts["image_groups_not_taken"]
        return
    if mode == "features":
        assert facts["image_groups"] == {"features": "equal"}
        assert facts["samples"]["features"] >= 8
    elif family in NO_PREFIX:
        assert facts["image_groups"]["prefix"] != "equal"
        assert facts["image_groups"]["features"] == "equal"
    else:
        assert facts["image_groups"]["prefix"] == "equal"
        assert facts["samples"]["prefix"] >= 8


def test_a_picture_is_encoded_once_for_all_its_questions(folder: Path, family: str) -> None:
    if family in NO_SHARING:
        pytest.skip(f"{family} takes no encoded pictures")
    backend = open_backend(folder, family)
    answers(backend, GROUPED[:5])
    encoded: list[int] = []
    holder = backend._model.base_model
    encode: Callable[..., object] = holder.get_image_features

    @wraps(encode)
    def counting(*given: object, **named: object) -> object:
        made = encode(*given, **named)
        encoded.append(1)
        return made

    holder.get_image_features = counting
    plainly = backend.facts()["samples"]["plain"]
    answers(backend, GROUPED[:5])
    assert backend.facts()["samples"]["plain"] == plainly
    assert 1 <= len(encoded) <= 2, "two pictures, five questions"


def test_half_precision_is_checked_against_its_own_noise(tmp_path: Path) -> None:
    backend = open_backend(TINY_VLM, "TinyVLM", dtype="bfloat16")
    answers(backend, GROUPED)
    answers(backend, GROUPED)
    assert backend.facts()["image_groups"]["prefix"] == "equal"
    assert backend.facts()["samples"]["prefix"] == 8


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_wrong_shortcut_is_found_and_left(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix that loses what it knows of the picture is not the plain path, and is told from rounding."""
    from transformers.cache_utils import DynamicCache

    select = DynamicCache.batch_select_indices

    def forgetful(cache: DynamicCache, indices: torch.Tensor) -> None:
        select(cache, indices)
        for layer in cache.layers:
            layer.values[:] = 0

    monkeypatch.setattr(DynamicCache, "batch_select_indices", forgetful)
    expected = answers(open_backend(TINY_VLM, "TinyVLM", image_groups="off", dtype=dtype), GROUPED)
    backend = open_backend(TINY_VLM, "TinyVLM", dtype=dtype)
    assert answers(backend, GROUPED) == expected
    assert "logits differ by" in backend.facts()["image_groups"]["prefix"]
    assert answers(backend, GROUPED) == expected
    assert backend.facts()["samples"]["prefix"] == 0
    assert backend.facts()["image_groups"]["features"] == "equal"


def test_tokens_that_cannot_be_joined_are_not_joined() -> None:
    row = groups.Row(0, [1, 2], [7, 8])
    groups.check_first([1, 2, 5, 5, 7, 8], row)
    with pytest.raises(groups.UnlikeError):
        groups.check_first([1, 2, 5, 5, 9, 8], row)
    with pytest.raises(groups.UnlikeError):
        groups.check_first([1, 3, 5, 5, 7, 8], row)
