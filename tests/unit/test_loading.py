"""How weights are loaded: in fewer bits, with adapters, over devices, in several processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from tests.checkpoints import common, llava, qwen2_vl
from tests.unit.test_backends import REQUESTS, answers, request
from vlmake.backends import device_maps, load, quantization
from vlmake.backends.base import Backend
from vlmake.errors import VlmakeError
from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
from vlmake.registry.model_entries import TransformersEntry

GROUP = [request(text, "red") for text in ("What is it?", "And of which color?", "Hm?")]


def spec_of(
    folder: Path, adapters: Sequence[Path] = (), dtype: str = "float32", **settings: object
) -> TransformersSpec:
    values = {"path": str(folder), "device": "cpu", "adapters": [str(adapter) for adapter in adapters], **settings}
    return TransformersSpec("Tiny", TransformersEntry.model_validate(values), folder, "local:x", dtype, tuple(adapters))


def opened(folder: Path, adapters: Sequence[Path] = (), dtype: str = "float32", **settings: object) -> Backend:
    return load(spec_of(folder, adapters, dtype, **settings), RuntimeOptions("cpu"))


def texts(backend: Backend) -> list[str]:
    return [output.text for output in answers(backend, REQUESTS)]


def singles(backend: Backend) -> list[str]:
    return [answers(backend, [item])[0].text for item in REQUESTS]


def refusal(folder: Path, adapters: Sequence[Path] = (), **settings: object) -> str:
    with pytest.raises(VlmakeError) as caught:
        opened(folder, adapters, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA whose rows are whole blocks of 64, as bitsandbytes wants them on a CPU."""
    sizes = {"hidden_size": 128, "intermediate_size": 256}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llava, "TEXT", {**common.TEXT, **sizes})
        patch.setattr(llava, "VISION", {**common.VISION, **sizes})
        return llava.build(tmp_path_factory.mktemp("wide"))


@pytest.fixture(scope="module")
def plain(tiny: Path) -> list[str]:
    """What the tiny model answers when nothing special is done to it."""
    return texts(opened(tiny))


# -- fewer bits


def test_4bit_weights_answer_alike_in_a_batch_and_alone(wide: Path) -> None:
    backend = opened(wide, load_in_4bit=True)
    facts = backend.facts()["quantization"]
    assert (facts["method"], facts["quantized_layers"], facts["kept"]) == ("bitsandbytes", 28, ["lm_head"])
    assert facts["settings"]["bnb_4bit_compute_dtype"] == "float32"
    assert facts["answers_depend_on_batch"] is False
    assert texts(backend) == singles(backend) != texts(opened(wide))


def test_8bit_weights_load_and_say_what_was_kept(tiny: Path) -> None:
    backend = opened(tiny, load_in_8bit=True)
    facts = backend.facts()["quantization"]
    assert (facts["method"], facts["quantized_layers"], facts["kept"]) == ("bitsandbytes", 28, ["lm_head"])
    assert facts["settings"]["load_in_8bit"] is facts["answers_depend_on_batch"] is True
    model = backend._model  # type: ignore[attr-defined]
    assert model.model.language_model.layers[0].mlp.up_proj.weight.dtype == torch.int8
    assert singles(backend) == singles(backend)
    assert all(output.completion_tokens for output in answers(backend, REQUESTS))


def test_4bit_rows_of_part_of_a_block_are_refused_on_a_cpu(tiny: Path) -> None:
    assert "no 4-bit kernel on a CPU" in refusal(tiny, load_in_4bit=True)


def test_checkpoint_stored_in_4bit_loads_by_its_own_settings(wide: Path, tmp_path: Path) -> None:
    shutil.copytree(wide, tmp_path / "stored")
    settings = tf.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype="float32")
    model = tf.AutoModelForImageTextToText.from_pretrained(
        wide, dtype=torch.float32, quantization_config=settings, device_map={"": "cpu"}
    )
    model.save_pretrained(tmp_path / "stored")
    backend = opened(tmp_path / "stored")
    assert backend.facts()["quantization"]["quantized_layers"] == 28
    assert texts(backend) == texts(opened(wide, load_in_4bit=True))
    assert "already quantised (bitsandbytes); drop load_in_8bit" in refusal(tmp_path / "stored", load_in_8bit=True)


@pytest.mark.parametrize(
    ("method", "expected"),
    [("awq", "awq weights needs gptqmodel: pip install gptqmodel"), ("gptq", "needs gptqmodel and optimum")],
)
def test_stored_method_without_its_library_names_the_package(
    tiny: Path, tmp_path: Path, method: str, expected: str
) -> None:
    shutil.copytree(tiny, tmp_path / "stored")
    config = tmp_path / "stored" / "config.json"
    settings = {"quant_method": method, "bits": 4, "group_size": 128}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": settings}))
    assert expected in refusal(tmp_path / "stored")
    on_gpu = "float16" if method == "awq" else "bfloat16"
    assert quantization.automatic_dtype(tmp_path / "stored", "cuda") == on_gpu
    assert quantization.automatic_dtype(tmp_path / "stored", "cpu") == "float32"


def test_other_number_format_than_asked_for_is_refused(tiny: Path) -> None:
    model = tf.AutoModelForImageTextToText.from_pretrained(tiny, dtype=torch.float16)
    quantization.refuse_other_dtype(model, "float16")
    with pytest.raises(ValueError, match="run in float16 here, not in bfloat16: set `dtype: float16`"):
        quantization.refuse_other_dtype(model, "bfloat16")


def test_missing_packages_are_named_together() -> None:
    with pytest.raises(
        VlmakeError, match="it needs no_such_module and other_such: pip install no_such_module other_such"
    ):
        quantization.require_packages("it", ["json", "no_such_module", "other_such"])


# -- devices


def test_device_map_on_a_cpu_answers_as_without(tiny: Path, plain: list[str]) -> None:
    backend = opened(tiny, device_map="auto")
    assert texts(backend) == plain
    assert backend.facts()["device_map"]["asked"] == "auto"
    assert list(backend.facts()["device_map"]["gigabytes"]) == ["cpu"]


def test_layers_put_on_slower_memory_are_refused(tiny: Path) -> None:
    spread = tf.AutoModelForImageTextToText.from_pretrained(
        tiny, dtype=torch.float32, device_map="auto", max_memory={"cpu": 200_000}
    )
    with pytest.raises(ValueError, match=r"\(4 parts of it, .*language_model.norm.* the weights take 0.000246 GB"):
        device_maps.refuse_offload(spread, "cpu")
    whole = tf.AutoModelForImageTextToText.from_pretrained(tiny, dtype=torch.float32)
    device_maps.refuse_offload(whole, "cpu")
    with pytest.raises(ValueError, match=r"does not fit \(1 part of it, the first is all of it\)"):
        device_maps.refuse_offload(whole, "cuda")


# -- adapters


def lora(base: Path, folder: Path, seed: int, rank: int = 4) -> Path:
    """Write a LoRA adapter over the text model, strong enough to change answers."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    model = tf.AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=8, target_modules=r".*language_model.*\.(q_proj|v_proj|up_proj)")
    laid = get_peft_model(model, config)
    with torch.no_grad():
        for name, weight in laid.named_parameters():
            if "lora_B" in name:
                weight.normal_(0.0, 0.2)
    laid.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [lora(tiny, tmp_path_factory.mktemp("lora") / str(seed), seed) for seed in (1, 2)]


def merged_by_hand(base: Path, adapters: Sequence[Path], folder: Path) -> Path:
    """Write the checkpoint with every adapter's product of matrices added to its weights."""
    shutil.copytree(base, folder)
    weights = load_file(base / "model.safetensors")
    for adapter in adapters:
        settings = json.loads((adapter / "adapter_config.json").read_text())
        tensors = load_file(adapter / "adapter_model.safetensors")
        for name in [name for name in tensors if name.endswith("lora_A.weight")]:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            layer = module.split("language_model.")[1]
            (target,) = [key for key in weights if key.endswith(f"{layer}.weight") and "language_model" in key]
            product = tensors[name.replace("lora_A", "lora_B")] @ tensors[name]
            weights[target] = weights[target] + product * settings["lora_alpha"] / settings["r"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_adapters_are_laid_over_the_weights(tiny: Path, plain: list[str], adapters: list[Path], tmp_path: Path) -> None:
    one, both = opened(tiny, adapters[:1]), opened(tiny, adapters)
    assert texts(one) == texts(opened(merged_by_hand(tiny, adapters[:1], tmp_path / "one")))
    assert texts(both) == texts(opened(merged_by_hand(tiny, adapters, tmp_path / "both"))) == singles(both)
    assert len({tuple(plain), tuple(texts(one)), tuple(texts(both))}) == 3
    assert both.facts()["adapters"] == {"count": 2, "laid": "merged"}


def test_questions_on_one_image_share_it_under_an_adapter(tiny: Path, adapters: list[Path]) -> None:
    backend, apart = opened(tiny, adapters[:1]), opened(tiny, adapters[:1], image_groups="off")
    expected = answers(apart, GROUP)
    assert answers(backend, GROUP) == expected == answers(backend, GROUP)
    assert backend.facts()["image_groups"]["prefix"] == "equal"


def test_adapters_stay_beside_quantised_weights(wide: Path, tmp_path: Path) -> None:
    folders = [lora(wide, tmp_path / str(seed), seed) for seed in (1, 2)]
    one, both = opened(wide, folders[:1], load_in_4bit=True), opened(wide, folders, load_in_4bit=True)
    assert both.facts()["adapters"] == {"count": 2, "laid": "beside the quantised weights"}
    assert both.facts()["class"] == "LlavaForConditionalGeneration"
    assert texts(both) == singles(both)
    assert len({tuple(texts(backend)) for backend in (one, both, opened(wide, load_in_4bit=True))}) == 3


def test_adapter_of_another_model_is_refused(tiny: Path, wide: Path, tmp_path: Path, adapters: list[Path]) -> None:
    assert "does not fit" in refusal(wide, adapters[:1])
    tensors = load_file(adapters[0] / "adapter_model.safetensors")
    first = min(tensors)
    for name, changed in (
        ("lacking", {key: value for key, value in tensors.items() if key != first}),
        ("more", tensors | {first.replace("layers.0", "layers.7"): tensors[first].clone()}),
    ):
        shutil.copytree(adapters[0], tmp_path / name)
        save_file(changed, tmp_path / name / "adapter_model.safetensors")
        said = {"lacking": "it lacks 1 tensor, the first is", "more": "it adds 1 tensor, the first is"}[name]
        assert f"was made for another model: {said}" in refusal(tiny, [tmp_path / name])


def test_pickled_adapter_is_refused_unopened(tiny: Path, adapters: list[Path], tmp_path: Path) -> None:
    shutil.copytree(adapters[0], tmp_path / "pickled")
    (tmp_path / "pickled" / "adapter_model.safetensors").rename(tmp_path / "pickled" / "adapter_model.bin")
    assert "only adapter_model.bin, a pickle" in refusal(tiny, [tmp_path / "pickled"])


# -- several processes

RANK_0 = """
import json, sys, psutil, torch
from pathlib import Path
from tests.unit.test_backends import REQUESTS, answers
from tests.unit.test_loading import opened

folder, scenario = Path(sys.argv[1]), sys.argv[2]
backend = opened(folder, tensor_parallel=True, gpus=2)
others = psutil.Process().children()
told = {"answers": [output.text for output in answers(backend, REQUESTS)], "facts": backend.facts()["tensor_parallel"]}
told |= {"others": [other.pid for other in others], "errors": []}
told["imported"] = sorted({"peft", "bitsandbytes"} & set(sys.modules))

def failing(call):
    try:
        call()
    except Exception as error:
        told["errors"].append(f"{type(error).__name__}: {error}")

if scenario == "errors":
    pixels = torch.zeros(1, 3, 32, 32)
    nowhere = {"input_ids": torch.tensor([[9, 10]]), "pixel_values": pixels}  # every rank's model raises, all go on
    failing(lambda: backend._generate(**nowhere, new_tokens=2, logits=False))
    told["again"] = [output.text for output in answers(backend, REQUESTS)]
    others[0].kill()
    for _ in range(2):
        failing(lambda: answers(backend, REQUESTS))
print(json.dumps(told), flush=True)
if scenario == "killed":
    sys.stdin.read()
"""


def rank_0(folder: Path, scenario: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RANK_0, str(folder), scenario],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "HF_HUB_OFFLINE": "1"},
    )


def told_by(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def ends(pid: int) -> bool:
    for _ in range(600):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_two_ranks_answer_as_one_process_and_errors_end_in_one_line(tiny: Path, plain: list[str]) -> None:
    process = rank_0(tiny, "errors")
    told = told_by(process)
    assert process.wait(60) == 0
    assert told["answers"] == told["again"] == plain
    assert told["facts"] == {"ranks": 2, "split_tensors": 16, "tensors": 64, "image_groups": "off"}
    same_everywhere, lost, lost_again = told["errors"]
    assert same_everywhere.startswith("ValueError: Image features and image tokens do not match")
    assert lost == lost_again == "DeviceLostError: tensor parallel rank 1: its process ended (-9)"
    assert all(map(ends, told["others"]))


def test_other_ranks_end_when_rank_0_is_killed(tmp_path: Path) -> None:
    folder = qwen2_vl.build(tmp_path / "qwen")
    process = rank_0(folder, "killed")
    told = told_by(process)
    assert told["answers"] == texts(opened(folder))
    assert told["imported"] == []  # no optional library that was not asked for
    assert all(map(psutil.pid_exists, told["others"]))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert all(map(ends, told["others"]))


def test_faults_of_a_split_model_are_one_line_and_leave_no_process(tiny: Path, tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    assert "num_attention_heads (4) to be a multiple of gpus (3)" in refusal(tiny, tensor_parallel=True, gpus=3)
    shutil.copytree(tiny, tmp_path / "copy")
    weights = load_file(tiny / "model.safetensors")
    weights.popitem()
    save_file(weights, tmp_path / "copy" / "model.safetensors", metadata={"format": "pt"})
    assert "missing in its weights: 1 tensor," in refusal(tmp_path / "copy", tensor_parallel=True, gpus=2)
    assert set(psutil.Process().children()) <= before
    assert not torch.distributed.is_initialized()


def test_split_model_refuses_what_cannot_be_combined(tiny: Path, adapters: list[Path]) -> None:
    assert "does not go with adapters" in refusal(tiny, adapters, tensor_parallel=True, gpus=2)
    assert "does not go with load_in_8bit" in refusal(tiny, tensor_parallel=True, gpus=2, load_in_8bit=True)
