"""The shipped model registry: every entry loads, names what exists, and says of a model what its class can take."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests import checkpoints
from tests.conftest import REPOSITORY
from vlmake.backends import endpoint
from vlmake.backends.processor import image_options, load_processor
from vlmake.endpoints.address import chat_url
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import Template, question_text
from vlmake.models import model_spec
from vlmake.models.model_spec import BenchmarkSettings, RuntimeOptions, benchmark_settings
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import Registry, load_registry, registry_folders
from vlmake.registry.model_entries import EndpointEntry, TransformersEntry


def on(shipped: Registry, model: str, dataset: str, task: str = "vqa") -> BenchmarkSettings:
    """What holds for a model on a benchmark of that name and task, registered or not."""
    metric = {"vqa": "vqa_exact", "multiple_choice": "choice"}[task]
    benchmark = DatasetEntry.model_validate({"path": "x.tsv", "task": task, "metric": metric})
    return benchmark_settings(shipped.model(model), dataset, benchmark)


SHORT = "{question}\nAnswer the question using a single word or phrase."

# How people write the models they run: names of VLMEvalKit, hub ids, and the spellings of articles.
NAMES = {
    "TinyVLM": "TinyVLM",
    **{
        name: name
        for name in (
            "InternVL-Chat-V1-1", "InternVL-Chat-V1-2", "InternVL-Chat-V1-2-Plus", "InternVL-Chat-V1-5",
            "Mini-InternVL-Chat-2B-V1-5", "Mini-InternVL-Chat-4B-V1-5", "InternVL2-1B", "InternVL2-2B", "InternVL2-4B",
            "InternVL2-8B", "InternVL2-26B", "InternVL2-40B", "InternVL2-76B", "Qwen2-VL-2B-Instruct",
            "Qwen2-VL-7B-Instruct", "Qwen2-VL-72B-Instruct", "Qwen2.5-VL-3B-Instruct", "Qwen2.5-VL-7B-Instruct",
            "qwen_chat", "qwen_base", "MiniCPM-V-2_6", "glm-4v-9b", "Phi-3-Vision",
        )
    },
    "qwen2vl": "Qwen2-VL-2B-Instruct",
    "Qwen/Qwen2-VL-2B-Instruct": "Qwen2-VL-2B-Instruct",
    "Qwen/Qwen2.5-VL-3B-Instruct": "Qwen2.5-VL-3B-Instruct",
    "Qwen-VL-Chat": "qwen_chat",
    "OpenGVLab/InternVL2-2B": "InternVL2-2B",
    "OpenGVLab/InternVL2-Llama3-76B": "InternVL2-76B",
    "OpenGVLab/InternVL3-8B": "InternVL3-8B",
    "OpenGVLab/InternVL3-8B-hf": "InternVL3-8B",
    "liuhaotian/llava-v1.5-7b": "llava_v1.5_7b",
    "llava-v1.5-7b": "llava_v1.5_7b",
    "LLaVA-v1.5-7B": "llava_v1.5_7b",
    "LLaVA-v1.5-13b": "llava_v1.5_13b",
    "LLaVA-v1.6-34B": "llava_next_yi_34b",
    "lmms-lab/llava-onevision-qwen2-7b-ov": "llava_onevision_qwen2_7b_ov",
    "llava-onevision-qwen2-7b-ov-hf": "llava_onevision_qwen2_7b_ov",
    "GLM-4v-9B": "glm-4v-9b",
    "PaliGemma-3B": "paligemma-3b-mix-448",
    "MiniCPM-V1": "MiniCPM-V",
    "MiniCPM-V2": "MiniCPM-V-2",
    "MiniCPM-Llama3-V2.5": "MiniCPM-Llama3-V-2_5",
    "MiniCPM-V2.6": "MiniCPM-V-2_6",
    "IDEFICS2": "idefics2_8b",
    "Idefics-3": "Idefics3-8B-Llama3",
    **{
        name: name
        for name in (
            "GPT4o_20240806", "GPT4o_20241120", "GPT4o_MINI", "gpt-4.1-2025-04-14", "o3", "gpt-5-2025-08-07", "GPT-5.2",
            "GeminiFlash2-5", "GeminiPro2-5", "Gemini-3.1-Pro-Preview", "Claude-Opus-4-6", "QwenVLPlus", "QwenVLMax",
            "QwenVLMax-250408", "GLM4V_PLUS", "GLM4V_PLUS_20250111", "DoubaoVL", "Seed1.5-VL", "Seed1.6",
            "Seed1.6-Flash", "Seed1.6-Thinking", "Doubao-Seed-2.0-Pro-260215", "HunYuan-Vision",
            "HunYuan-Standard-Vision", "HunYuan-Large-Vision",
        )
    },
    "gpt-4o-mini": "GPT4o_MINI",
    "gemini-2.5-pro": "GeminiPro2-5",
    "Qwen-VL-Max": "QwenVLMax",
    "qwen-vl-max": "QwenVLMax",
    "glm-4v-plus": "GLM4V_PLUS",
}  # fmt: skip

KEYS = {
    "OPENAI_API_KEY", "GOOGLE_API_KEY", "ANTHROPIC_API_KEY", "DASHSCOPE_API_KEY", "GLMV_API_KEY", "STEPAI_API_KEY",
    "DOUBAO_VL_KEY", "HUNYUAN_API_KEY",
}  # fmt: skip


@pytest.fixture(scope="module")
def shipped() -> Registry:
    return load_registry(registry_folders(current=Path("/")))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny checkpoint by the class that its configuration names."""
    root = tmp_path_factory.mktemp("checkpoints")
    built = [checkpoints.build(name, root / name) for name in checkpoints.FAMILIES]
    return {json.loads((folder / "config.json").read_text())["architectures"][0]: folder for folder in built}


def local(registry: Registry) -> dict[str, TransformersEntry]:
    """The entries of checkpoints that transformers runs."""
    return {name: entry for name, entry in registry.models.items() if isinstance(entry, TransformersEntry)}


def native(registry: Registry) -> dict[str, TransformersEntry]:
    """The entries of checkpoints on a hub that run without code of their own."""
    return {
        name: entry
        for name, entry in local(registry).items()
        if entry.repository and not entry.trust_remote_code and not entry.environment
    }


def rented(registry: Registry) -> dict[str, EndpointEntry]:
    """The entries of models behind somebody's API."""
    return {name: entry for name, entry in registry.models.items() if isinstance(entry, EndpointEntry)}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_people_use_is_known(shipped: Registry, name: str) -> None:
    assert shipped.resolve_model(name) == NAMES[name]


def test_no_alias_stands_for_two_models_or_hides_a_name(shipped: Registry) -> None:
    aliases = [alias for entry in shipped.models.values() for alias in entry.aliases]
    assert [alias for alias, times in Counter(aliases).items() if times > 1] == []
    assert set(aliases) & shipped.models.keys() == set()


def test_a_model_answers_to_its_id_on_the_hub(shipped: Registry) -> None:
    for name, entry in local(shipped).items():
        if entry.repository:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repository), name
            assert shipped.resolve_model(entry.repository) == name


def test_a_native_class_is_one_that_transformers_takes_images_and_text_to(shipped: Registry) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    classes = set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.values())
    assert {
        name: entry.architecture for name, entry in native(shipped).items() if entry.architecture not in classes
    } == {}


def test_foreign_code_says_what_it_needs_and_no_native_class(shipped: Registry) -> None:
    foreign = {name: entry for name, entry in local(shipped).items() if entry.trust_remote_code}
    assert foreign
    for name, entry in foreign.items():
        assert entry.environment, name
        assert entry.architecture is None, name


def test_requirements_are_written_as_pip_writes_them(shipped: Registry) -> None:
    requirements = {text for entry in shipped.models.values() for text in entry.environment}
    assert {Requirement(text).name for text in requirements} >= {"transformers", "einops", "bitsandbytes"}


def test_quantised_loading_names_its_library(shipped: Registry) -> None:
    for name, entry in local(shipped).items():
        if entry.load_in_8bit or entry.load_in_4bit:
            assert "bitsandbytes" in entry.environment, name


def test_a_model_on_several_gpus_says_how_it_is_spread(shipped: Registry) -> None:
    spread = {name for name, entry in local(shipped).items() if entry.device_map or entry.tensor_parallel}
    assert spread == {name for name, entry in shipped.models.items() if entry.gpus > 1}
    assert "Qwen2-VL-72B-Instruct" in spread


def test_verified_means_that_a_checkpoint_of_the_class_runs_in_the_tests(
    shipped: Registry, folders: dict[str, Path]
) -> None:
    verified = {name: entry for name, entry in local(shipped).items() if entry.verified == "architecture"}
    assert not any(entry.trust_remote_code for entry in verified.values())
    assert {entry.architecture for entry in verified.values()} - folders.keys() == set()
    assert verified["InternVL2-2B"].architecture == "InternVLForConditionalGeneration"


def test_image_processors_take_the_pixel_budgets(shipped: Registry, folders: dict[str, Path]) -> None:
    """Of every class with a tiny checkpoint: the entry's own budget, and that of each of its benchmark rules."""
    seen = set()
    for name, entry in native(shipped).items():
        budgets = [rule.pixels.model_dump(exclude_none=True) for rule in entry.benchmarks]
        known = (entry.architecture, entry.pixels, str(budgets), entry.chat_template)
        if entry.architecture not in folders or known in seen:
            continue
        seen.add(known)
        processor = load_processor(folders[entry.architecture], entry)
        for budget in budgets:
            assert set(image_options(processor, budget)) <= {"size", "crop_to_patches", "min_patches", "max_patches"}, (
                name
            )
    assert len(seen) >= len(folders) - 1  # Pixtral and LLaVA are one class


@pytest.mark.parametrize(
    ("dataset", "tiles", "prompt"),
    [
        ("MME", 6, "{question} Answer the question using a single word or phrase."),
        ("HallusionBench", 6, "{question} Please answer yes or no. Answer the question using a single word or phrase."),
        ("POPE", 6, "{question}"),
        ("MMBench_DEV_EN", 6, None),
        ("TextVQA_VAL", 6, SHORT),
        ("MathVista_MINI", 6, "{question}"),
        ("LLaVABench", 6, "{question}\nAnswer this question in detail."),
        ("ChartQA_TEST", 12, SHORT),
        ("OCRVQA_TESTCORE", 12, SHORT),
        ("MME-RealWorld", 12, None),
        ("ScreenSpot_Web", 12, None),
        ("DocVQA_VAL", 18, SHORT),
        ("SLIDEVQA_MINI", 18, SHORT),
        ("InfoVQA_VAL", 24, SHORT),
        ("OCRBench", 24, SHORT),
        ("HRBench8K", 24, None),
    ],
)
@pytest.mark.parametrize("model", ["InternVL-Chat-V1-5", "InternVL2-2B", "InternVL3-8B"])
def test_internvl_cuts_and_asks_as_vlmevalkit_does(
    shipped: Registry, model: str, dataset: str, tiles: int, prompt: str | None
) -> None:
    settings = on(shipped, model, dataset)
    assert settings.pixels == {"min_patches": 1, "max_patches": tiles, "prompt_patches": 64}
    assert settings.frames.question == prompt


def test_internvl_enlarges_mmmu_since_version_2(shipped: Registry) -> None:
    scales = {
        model: on(shipped, model, "MMMU_DEV_VAL", "multiple_choice").pixels.get("first_image_scale")
        for model in ("InternVL-Chat-V1-5", "InternVL2-2B", "InternVL3_5-8B")
    }
    assert scales == {"InternVL-Chat-V1-5": None, "InternVL2-2B": 2, "InternVL3_5-8B": 2}


@pytest.mark.parametrize(
    ("model", "dataset", "min_pixels", "prompt"),
    [
        ("Qwen2-VL-2B-Instruct", "MME", 1280 * 28 * 28, None),
        ("Qwen2-VL-2B-Instruct", "POPE", 1280 * 28 * 28, "{question} Please answer yes or no."),
        ("Qwen2.5-VL-7B-Instruct", "POPE", 1280 * 28 * 28, None),
        ("Qwen2.5-VL-7B-Instruct", "OCRBench", 10 * 10 * 28 * 28, None),
        ("Qwen3-VL-8B-Instruct", "OCRBench", 10 * 10 * 32 * 32, None),
        ("Qwen3-VL-8B-Instruct", "MME", None, None),
    ],
)
def test_qwen_sees_and_asks_as_in_vlmevalkit(
    shipped: Registry, model: str, dataset: str, min_pixels: int | None, prompt: str | None
) -> None:
    settings = on(shipped, model, dataset)
    assert settings.pixels.get("min_pixels") == min_pixels
    assert settings.frames.question == prompt


def test_a_rented_model_names_an_address_a_key_and_an_id(shipped: Registry) -> None:
    rented_models = rented(shipped)
    assert {entry.api_key for entry in rented_models.values()} == KEYS
    for name, entry in rented_models.items():
        assert chat_url(entry.api_base).startswith("https://"), name
        assert re.fullmatch(r"[a-z0-9.-]+", entry.served_model), name
        assert entry.description, name


def test_no_two_rented_models_share_their_answers(shipped: Registry) -> None:
    """What a prediction's key holds: two names of one id are told apart by how it is asked."""
    digests = [model_spec.resolve(name, entry).digest() for name, entry in rented(shipped).items()]
    assert len(set(digests)) == len(digests)


def test_models_that_think_are_sent_no_temperature_and_the_limit_by_its_new_name(shipped: Registry) -> None:
    for name in ("o3", "gpt-5-2025-08-07", "gpt-5-mini-2025-08-07", "gpt-5.1-2025-11-13", "GPT-5.4-2026-03-05"):
        entry = rented(shipped)[name]
        assert (entry.temperature, entry.limit_key) == (None, "max_completion_tokens"), name
        assert entry.max_new_tokens >= 16384, name
    assert (shipped.model("GPT4o_MINI").temperature, shipped.model("GPT4o_MINI").limit_key) == (0.0, "max_tokens")


def test_a_rented_model_without_its_key_ends_in_one_line_that_names_it(
    shipped: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, entry in rented(shipped).items():
        monkeypatch.delenv(entry.api_key or "", raising=False)
        with pytest.raises(VlmakeError, match=f"no key: set the environment variable {entry.api_key}") as caught:
            endpoint.load(model_spec.resolve(name, entry), RuntimeOptions("cpu"))
        assert "\n" not in str(caught.value)


def test_hunyuan_and_glm_ask_as_vlmevalkit_does(shipped: Registry) -> None:
    settings = on(shipped, "HunYuan-Vision", "MMBench_DEV_EN", "multiple_choice")
    assert question_text(Template("multiple_choice"), ROW, settings.frames) == (
        "Hint: Look.\nQuestion: Which?\nOptions:\nA. red\nB. blue\n"
        "Answer with the option letter from the given choices directly."
    )
    assert on(shipped, "GLM4V_PLUS", "POPE").frames.suffix.strip() == "Please answer yes or no."
    assert on(shipped, "GLM4V_PLUS", "MME").frames.suffix == ""


def listed(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from vlmake.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "list", *arguments], capture_output=True, text=True, cwd=REPOSITORY
    )


def test_the_list_shows_one_family_a_line_each() -> None:
    head, title, *lines = listed("models", "--family", "qwen_vl").stdout.splitlines()
    assert head.split() == ["name", "checkpoint", "class", "gpus", "verified", "environment", "aliases"]
    assert title == "qwen_vl (2)"
    assert [line.split()[:2] for line in lines] == [["qwen_base", "Qwen/Qwen-VL"], ["qwen_chat", "Qwen/Qwen-VL-Chat"]]
    assert "transformers==4.33.0" in lines[0]


def test_the_list_holds_every_model_once(shipped: Registry) -> None:
    table = listed("models").stdout.splitlines()
    assert Counter(line.split()[0] for line in table[1:] if line.startswith("  ")) == Counter(list(shipped.models))
    entries = json.loads(listed("models", "--json").stdout)
    assert {entry["name"] for entry in entries if entry["family"] == "tiny"} == {"TinyVLM"}


def test_a_misspelt_family_names_the_closest() -> None:
    done = listed("models", "--family", "intern")
    assert done.returncode != 0
    assert "did you mean 'internvl'?" in done.stderr


ROW = {"question": "Which?", "A": "red", "B": "blue", "hint": "Look."}


@pytest.mark.parametrize(
    ("model", "row", "expected"),
    [
        (
            "InternVL2-2B",
            ROW,
            "Look.\nWhich?\nA. red\nB. blue\nAnswer with the option's letter from the given choices directly.",
        ),
        ("llava_v1.5_7b", {**ROW, "B": "蓝", "hint": None}, "Which?\nA. red\nB. 蓝\n请直接回答选项字母。"),
        (
            "Qwen2-VL-2B-Instruct",
            ROW,
            "Hint: Look.\nQuestion: Which?\nOptions:\nA. red\nB. blue\n"
            "Please select the correct answer from the options above.",
        ),
        (
            "Qwen2.5-VL-7B-Instruct",
            {**ROW, "hint": None},
            "Question: Which?\nOptions:\nA. red\nB. blue\nPlease select the correct answer from the options above. \n",
        ),
    ],
)
def test_multiple_choice_is_asked_in_the_models_own_frame(
    shipped: Registry, model: str, row: dict[str, str | None], expected: str
) -> None:
    settings = on(shipped, model, "MMBench_DEV_EN", "multiple_choice")
    assert question_text(Template("multiple_choice"), row, settings.frames) == expected


def test_a_rule_may_except_benchmarks_and_hold_for_some_tasks_only(shipped: Registry) -> None:
    assert on(shipped, "InternVL2-2B", "MME-RealWorld", "multiple_choice").frames.choice is None
    assert on(shipped, "InternVL2-2B", "MMStar", "multiple_choice").frames.choice is not None
    assert on(shipped, "InternVL2-2B", "MMStar").frames.choice is None
