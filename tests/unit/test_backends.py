"""Any native checkpoint folder runs by one entry: real classes of transformers with random weights."""

import base64
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests import checkpoints
from tests.conftest import BENCHMARKS, TINY_VLM, read_tsv
from vlmake.backends import load
from vlmake.backends.base import Backend, Output, Request, Turn
from vlmake.data.images import ImageError
from vlmake.errors import VlmakeError
from vlmake.inference.answering import Pace, answer
from vlmake.inference.journal import JournalWriter
from vlmake.inference.shard import Asking, accepted_predictions, make_question
from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
from vlmake.registry.model_entries import TransformersEntry


def picture(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = {color: picture(color) for color in ("red", "green", "blue")}


def request(text: str, *colors: str, tokens: int = 6) -> Request:
    messages = [{"type": "image", "image": color} for color in colors] + [{"type": "text", "text": text}]
    return Request([Turn("user", messages)], {color: PICTURES[color] for color in colors}, tokens)


REQUESTS = [
    request("What is this?", "red"),
    request("Is it green? A much longer question, so that padding is needed.", "green"),
    request("Which of the two?", "red", "blue"),
    request("No picture at all."),
    request("What is this?", "blue"),
]


def answers(backend: Backend, requests: Sequence[Request]) -> list[Output]:
    return backend.generate(backend.prepare(requests))


def open_backend(folder: Path, **settings: object) -> Backend:
    entry = TransformersEntry.model_validate({"path": str(folder), "dtype": "float32", "device": "cpu", **settings})
    return load(TransformersSpec("Tiny", entry, folder, "local:x", "float32"), RuntimeOptions("cpu"))


@pytest.fixture(scope="module", params=["TinyVLM", "idefics3", "qwen2_vl"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    if request.param == "TinyVLM":
        return open_backend(TINY_VLM)
    return open_backend(checkpoints.build(request.param, tmp_path_factory.mktemp(request.param)))


def test_batch_equals_single_samples(backend: Backend) -> None:
    singles = [answers(backend, [item])[0] for item in REQUESTS]
    assert answers(backend, REQUESTS) == singles
    assert answers(backend, REQUESTS[::-1]) == singles[::-1]


def test_pictures_reach_the_model(backend: Backend) -> None:
    given = answers(backend, [request("What color?", color, tokens=8) for color in PICTURES])
    assert len({item.prompt_tokens for item in given}) == 1
    assert len({item.text for item in given}) > 1, "the answer does not depend on the picture"


def test_length_is_bounded_and_told(backend: Backend) -> None:
    (answer,) = answers(backend, [request("Tell me everything.", "red", tokens=3)])
    assert answer.completion_tokens <= 3
    assert (answer.finish_reason == "length") == (answer.completion_tokens == 3 and not ended_by_itself(backend))


def ended_by_itself(backend: Backend) -> bool:
    """Tell whether the same answer, given room, is no longer than three tokens."""
    (answer,) = answers(backend, [request("Tell me everything.", "red", tokens=12)])
    return answer.finish_reason == "stop" and answer.completion_tokens <= 3


def test_truncated_picture_is_an_image_error(backend: Backend) -> None:
    noise = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(noise, "JPEG")
    broken = Request(REQUESTS[0].turns, {"red": noise.getvalue()[:900]}, 4)
    with pytest.raises(ImageError):
        answers(backend, [broken])


def test_trained_model_stops_by_itself() -> None:
    header, first, *_ = read_tsv(BENCHMARKS / "ShapesMME.tsv")
    row = dict(zip(header, first, strict=True))
    messages = [{"type": "image", "image": "first"}, {"type": "text", "text": row["question"]}]
    (answer,) = answers(
        open_backend(TINY_VLM), [Request([Turn("user", messages)], {"first": base64.b64decode(row["image"])}, 16)]
    )
    assert answer.text in ("Yes", "No")
    assert answer.finish_reason == "stop"
    assert 1 <= answer.completion_tokens < 16


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"config.json": "{}"}, "cannot be loaded"),
        ({"config.json": '{"model_type": "llama"}'}, "cannot be loaded"),
    ],
)
def test_other_folders_are_refused_in_one_line(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(VlmakeError, match=expected) as caught:
        open_backend(tmp_path)
    assert "\n" not in str(caught.value)


def test_checkpoint_without_chat_template_asks_for_one(tmp_path: Path) -> None:
    for file in TINY_VLM.iterdir():
        if file.is_file() and file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(VlmakeError, match="has no chat template: give the model's prompt format as `chat_template`"):
        open_backend(tmp_path)
    template = (TINY_VLM / "chat_template.jinja").read_text(encoding="utf-8")
    given = open_backend(tmp_path, chat_template=template)
    own: Sequence[Output] = answers(open_backend(TINY_VLM), REQUESTS[:1])
    assert answers(given, REQUESTS[:1]) == own


def test_missing_weights_are_refused_not_invented(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(TINY_VLM, tmp_path / "copy")
    weights = load_file(tmp_path / "copy" / "model.safetensors")
    name = next(key for key in sorted(weights) if "layers.1" in key)
    del weights[name]
    save_file(weights, tmp_path / "copy" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(VlmakeError, match="missing in its weights: 1 tensor, the first is"):
        open_backend(tmp_path / "copy")


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    shutil.copytree(TINY_VLM, tmp_path / "copy")
    (tmp_path / "copy" / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(VlmakeError, match="cannot be loaded") as caught:
        open_backend(tmp_path / "copy")
    assert "\n" not in str(caught.value)


def test_more_tokens_than_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="new ones exceed the model"):
        answers(open_backend(TINY_VLM), [request("red circle " * 3000, "red")])


def test_image_token_in_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="the text contains <image>"):
        answers(open_backend(TINY_VLM), [request("What does <image> mean?", "red")])


def test_host_threads_ahead_of_the_model_change_no_answer(tmp_path: Path) -> None:
    """Several threads tokenise and tile at once; every answer is the one that a single thread gets."""

    class Stored:
        def bytes(self, digest: str) -> bytes:
            return PICTURES[digest]

    asking = Asking("digest", 6)
    colors = [list(PICTURES)[number // 5 % 3] for number in range(60)]
    questions = [
        make_question(
            asking,
            str(number),
            [{"type": "image", "image": color}, {"type": "text", "text": f"Is number {number * 7919} in it?"}],
            None,
        )
        for number, color in enumerate(colors)
    ]
    backend = open_backend(TINY_VLM)
    told = []
    for workers in (0, 4):
        folder = tmp_path / str(workers)
        answer(
            questions, backend, Stored(), JournalWriter(folder), asking, Pace(4, workers), epoch=0, advance=told.extend
        )
    first, second = (accepted_predictions(tmp_path / name, questions, 0) for name in ("0", "4"))
    assert len(first) == len({item.index for item in first.values()}) == 60
    assert {key: item.prediction for key, item in first.items()} == {
        key: item.prediction for key, item in second.items()
    }
    assert all(item.status != "model_error" for item in second.values())
    assert len(told) == 120
