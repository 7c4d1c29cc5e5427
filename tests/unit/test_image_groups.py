"""Questions on the same pictures share them, and answer the same in float32: every family, shared and not."""

import io
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests import checkpoints
from tests.checkpoints import FAMILIES
from tests.conftest import TINY_VLM
from vlmake.backends import groups, load
from vlmake.backends.base import Output, Request, Turn
from vlmake.backends.rendering import Prompt
from vlmake.backends.transformers import TransformersBackend
from vlmake.errors import VlmakeError
from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
from vlmake.registry.model_entries import TransformersEntry

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
    spec = TransformersSpec("Tiny", TransformersEntry.model_validate(content), folder, "local:x", str(content["dtype"]))
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


def newline_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, but runs of line breaks are one token, as in most published vocabularies."""
    special = ["<bos>", "<boi>", "<soft>", "<eoi>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*special, *alphabet, "\u010a\u010a", "\u010a\u010a\u010a"]
    merges = [("\u010a", "\u010a"), ("\u010a\u010a", "\u010a")]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>")


@pytest.mark.parametrize("written", [("", ""), ("\n\n", "\n\n"), ("\n", ""), (" ", "\n")])
def test_joined_tokens_are_those_of_the_whole_prompt(written: tuple[str, str]) -> None:
    """Processors write line breaks around a picture, which melt with those that a question begins or ends with."""
    tokenizer = newline_tokenizer()
    pictures = f"{written[0]}<boi>{'<soft>' * 4}<eoi>{written[1]}"
    starts = ("<bos>user\n", "<bos>user", "<bos>a\n\n", "<bos>")
    prompts = [
        Prompt(f"{start}<boi>{end}", [], ("picture",), {}, 4)
        for start in starts
        for end in ("What?", "\nWhat?", "\n\n\n\nHm", " and", "")
    ]
    whole = [
        tokenizer(prompt.text.replace("<boi>", pictures), add_special_tokens=False)["input_ids"] for prompt in prompts
    ]
    texts = groups.split_texts(prompts, "<boi>")
    joined = groups.join_tokens(texts, [whole[0]], tokenizer, starts=False)
    shown = whole[0][len(joined.rows[0].before) : len(whole[0]) - len(joined.rows[0].after)]
    assert [[*row.before, *shown, *row.after] for row in joined.rows] == whole
    assert not texts.same_start()


def test_tokens_that_are_not_a_prompts_parts_are_not_joined() -> None:
    tokenizer = newline_tokenizer()
    prompts = [Prompt(f"<bos>a <boi> {end}", [], ("picture",), {}, 4) for end in ("b", "c")]
    texts = groups.split_texts(prompts, "<boi>")
    for written in ("<bos>a, here: <boi><soft> b", "<bos>a <boi><soft> -- b", "<bos>a b"):
        whole = tokenizer(written, add_special_tokens=False)["input_ids"]
        with pytest.raises(groups.UnlikeError):
            groups.join_tokens(texts, [whole], tokenizer, starts=False)


def test_a_way_of_sharing_that_is_always_refused_is_not_tried_for_ever(tmp_path: Path) -> None:
    backend = open_backend(checkpoints.build("mllama", tmp_path / "mllama"), "mllama")
    for _ in range(10):
        answers(backend, GROUPED[:2])
    refusals = backend._preparer.refusals
    assert all(refusals.closed(mode) for mode in refusals.reasons)
    assert refusals.reasons


def test_pixel_budget_holds_behind_a_prompt_without_a_picture(tmp_path: Path) -> None:
    backend = open_backend(checkpoints.build("qwen2_vl", tmp_path / "qwen2_vl"), "qwen2_vl")
    text = Request([Turn("user", [{"type": "text", "text": "No picture."}])], {}, 6)
    small = Request(ask("What?", "d").turns, PICTURES, 6, {"max_pixels": 1024})
    alone = [answers(backend, [text])[0], answers(backend, [small])[0]]
    assert answers(backend, [text, small]) == alone
    assert answers(backend, [ask("What?", "d")])[0].prompt_tokens > alone[1].prompt_tokens


def test_requests_keep_their_own_longest_answer_and_scale() -> None:
    backend = open_backend(TINY_VLM, "TinyVLM")
    short = Request(GROUPED[0].turns, PICTURES, 1)
    assert answers(backend, [GROUPED[0], short]) == [answers(backend, [item])[0] for item in (GROUPED[0], short)]


def test_system_text_without_a_place_is_refused(tmp_path: Path) -> None:
    folder = checkpoints.build("llava", tmp_path / "llava")
    template = "{% for m in messages if m.role == 'user' %}{% for c in m.content %}{{ c.text }}{% endfor %}{% endfor %}"
    with pytest.raises(VlmakeError, match="its chat template has no place for `system`"):
        open_backend(folder, "llava", system="Be brief.", chat_template=template)
