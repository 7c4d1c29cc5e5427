"""``vlmake certify``: a conversion against code that a checkpoint brings with it, both sides real.

The checkpoint is a tiny random one in the published layout whose code (``tests/data/remote_code``) was written for
these tests, so that it runs under the interpreter that runs them.
"""

import ast
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.checkpoints import internvl2_original
from tests.conftest import REPOSITORY, Workplace, make_benchmark
from vlmake.certify import environment, sides
from vlmake.certify.comparison import Row, Rules, compare, first_difference, same_but_for_bytes
from vlmake.certify.drawing import SIZES
from vlmake.certify.prompts import Prompt, dataset_prompts, drawn_prompts
from vlmake.certify.sides import Converted, Original, Seen, run_original, write_job
from vlmake.commands.certify import command
from vlmake.data.decode import decode
from vlmake.data.download import source_record
from vlmake.data.images import open_rgb
from vlmake.environments import building
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import Frames
from vlmake.models.model_spec import BenchmarkSettings, RuntimeOptions, TransformersSpec
from vlmake.registry.loading import load_registry
from vlmake.registry.model_entries import TransformersEntry

CODE = REPOSITORY / "tests" / "data" / "remote_code"
PIXELS = {"min_patches": 1, "max_patches": 6, "prompt_patches": 64}
CERTIFY = ("certify", "Mini", "--python", sys.executable, "--any-version", "--device", "cpu", "--threads", "1")
NEW_TOKENS = 8


def published(folder: Path) -> Path:
    """Write a checkpoint that brings its own code."""
    internvl2_original.write(folder, "1B")
    for file in CODE.glob("*.py"):
        shutil.copy(file, folder)
    own = {"AutoConfig": "configuration_internvl_chat.InternVLChatConfig"}
    own["AutoModel"] = "modeling_internvl_chat.InternVLChatModel"
    internvl2_original.edit_json(folder / "config.json", lambda config: config.update(auto_map=own))
    # Under the interpreter of the tests every added token is left out of answers, so they are declared to be.
    added = list(json.loads((folder / "added_tokens.json").read_text(encoding="utf-8")))
    internvl2_original.edit_json(
        folder / "tokenizer_config.json", lambda config: config.update(additional_special_tokens=added)
    )
    return folder


@dataclass
class Certified:
    """A workplace in which a certification has been run once."""

    place: Workplace
    code: int
    output: str

    @property
    def certificate(self) -> dict[str, object]:
        return json.loads((self.place.folder / "certify" / "Mini.json").read_text(encoding="utf-8"))

    @property
    def converted(self) -> Path:
        (folder,) = (self.place.home / "cache" / "vlmake" / "models").glob("internvl2-*")
        return folder


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    folder = tmp_path_factory.mktemp("certify")
    place = Workplace(folder / "work dir", folder / "home")
    place.folder.mkdir()
    place.home.mkdir()
    place.models["Mini"] = {"path": str(published(folder / "Mini-1.0")), "converter": "internvl2", "pixels": PIXELS}
    ran = place.vlmake(*CERTIFY, "--samples", "8", "--max-new-tokens", str(NEW_TOKENS), HF_TOKEN="hf_secret")
    return Certified(place, ran.code, ran.output)


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return drawn_prompts(3, 0, PIXELS)


@pytest.fixture(scope="module")
def original(certified: Certified, prompts: list[Prompt], tmp_path_factory: pytest.TempPathFactory) -> Original:
    """What the checkpoint's own code makes of the prompts, and how far batching moves it."""
    return run(job(tmp_path_factory.mktemp("job") / "job", certified.place, prompts, noise_prompts=3))


def job(folder: Path, place: Workplace, prompts: list[Prompt], **changes: object) -> Path:
    settings = {"dtype": "float32", "device": "cpu", "device_map": None, "threads": 1, "max_new_tokens": NEW_TOKENS}
    checkpoint = Path(str(place.models["Mini"]["path"]))
    write_job(folder, checkpoint, prompts, settings | {"transformers": None, "noise_prompts": 0} | changes)
    return folder


def run(folder: Path, python: Path = Path(sys.executable)) -> Original:
    return run_original(python, folder, {}, 1, lambda _: None)


def converted(folder: Path) -> Converted:
    entry = TransformersEntry(path=str(folder), converter="internvl2", device="cpu")
    return Converted(TransformersSpec("Mini", entry, folder, "", "float32"), RuntimeOptions("cpu", 1))


# -- the whole command


def test_a_conversion_that_is_the_published_model_is_certified(certified: Certified) -> None:
    assert certified.code == 0, certified.output
    assert "certified in float32 on 8 prompts" in certified.output
    content = certified.certificate
    assert content["verdict"] == "certified"
    assert content["original"]["class"] == "InternVLChatModel"
    assert content["converted"]["class"] == "InternVLForConditionalGeneration"
    rows = content["prompts"]
    assert len({row["tiles"] for row in rows}) > 3
    assert rows[7]["tiles"] > 7, "the eighth prompt shows two pictures"
    for row in rows:
        assert (row["ids_differ_at"], row["pixels_apart"], row["answer_ids_equal"]) == (None, 0.0, True)
        assert row["logits_apart"] < 1e-4


def test_a_certificate_says_what_was_compared_with_what(certified: Certified) -> None:
    content = certified.certificate
    code = hashlib.sha256((CODE / "modeling_internvl_chat.py").read_bytes()).hexdigest()
    assert content["original"]["code"]["modeling_internvl_chat.py"] == code
    assert content["checkpoint"].startswith("local:")
    assert content["checkpoint"].endswith(" + internvl2:1")
    assert content["original"]["versions"].keys() >= {"python", "torch", "transformers", "numpy", "PIL"}
    assert content["converted"]["versions"].keys() >= {"python", "torch", "transformers", "numpy", "pillow"}
    assert content["asked"] == {"drawn_by_seed": 0, "max_new_tokens": NEW_TOKENS, "samples": 8}
    assert "hf_secret" not in certified.output


def test_nothing_but_the_certificate_is_left_behind(certified: Certified) -> None:
    assert [file.name for file in (certified.place.folder / "certify").iterdir()] == ["Mini.json"]


def test_a_conversion_with_another_weight_is_refused(
    certified: Certified,
    original: Original,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The original's interpreter gives again what it gave before; the converted side runs in this process."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncp {original.folder}/results.json {original.folder}/*.npy .\n")
    python.chmod(0o755)
    shutil.copytree(certified.place.home, tmp_path / "home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.chdir(certified.place.folder)
    words = ["Mini", "--python", str(python), "--device", "cpu", "--threads", "1", "--samples", "3"]
    words += ["--max-new-tokens", str(NEW_TOKENS), "--work-dir", str(tmp_path)]
    assert not command.main(words, standalone_mode=False), "unchanged, it is certified"
    change_weight(next((tmp_path / "home" / "cache" / "vlmake" / "models").glob("internvl2-*")))
    assert command.main(words, standalone_mode=False) == 1
    assert "not certified in float32: 3 of 3 prompts differ in logits" in " ".join(capsys.readouterr().out.split())
    content = json.loads((tmp_path / "certify" / "Mini.json").read_text(encoding="utf-8"))
    assert (content["verdict"], content["prompts"][0]["ids_differ_at"]) == ("differs", None)


# -- planted differences


def change_weight(folder: Path) -> None:
    for file in folder.glob("*.safetensors"):
        tensors = load_file(file)
        if (name := "model.language_model.norm.weight") in tensors:
            tensors[name][3] += 0.5
            save_file(tensors, file, metadata={"format": "pt"})
            return
    raise AssertionError("the tensor is not there")


def change_ids(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    vocabulary["W"], vocabulary["s"] = vocabulary["s"], vocabulary["W"]
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")


def change_template(folder: Path) -> None:
    edit(folder / "chat_template.jinja", "你是一个测试模型", "You are a model")


def change_resampling(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", '"resample": 3', '"resample": 2')


def change_tile(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", "0.485", "0.4851")


def change_stop(folder: Path) -> None:
    config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    (folder / "generation_config.json").write_text(json.dumps(config | {"eos_token_id": [*range(250)]}))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


PLANTED: list[tuple[Callable[[Path], None], set[str]]] = [
    (change_weight, {"logits"}),
    (change_ids, {"ids"}),
    (change_template, {"ids"}),
    (change_resampling, {"pixels"}),
    (change_tile, {"pixels"}),
    (change_stop, {"answer ids"}),
]


@pytest.mark.parametrize(("plant", "faults"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_difference_is_found(
    plant: Callable[[Path], None],
    faults: set[str],
    certified: Certified,
    original: Original,
    prompts: list[Prompt],
    tmp_path: Path,
) -> None:
    rows = compared(certified.converted, original, prompts)
    assert not any(row.faults for row in rows), "unchanged, it is the same"
    folder = Path(shutil.copytree(certified.converted, tmp_path / "changed"))
    plant(folder)
    rows = compared(folder, original, prompts)
    assert faults <= {fault for row in rows for fault in row.faults}


def compared(folder: Path, original: Original, prompts: list[Prompt]) -> list[Row]:
    side, rules = converted(folder), Rules("float32", 0.0)
    return [
        compare(prompt.name, original.seen(number), side.seen(prompt, NEW_TOKENS), rules)
        for number, prompt in enumerate(prompts)
    ]


def test_another_number_of_tiles_is_found(certified: Certified, original: Original, prompts: list[Prompt]) -> None:
    fewer = replace(prompts[1], pixels=PIXELS | {"max_patches": 3})
    row = compare("fewer", original.seen(1), converted(certified.converted).seen(fewer, 1), Rules("float32", 0.0))
    assert {"ids", "tiles"} <= set(row.faults)
    assert row.pixels_apart is None


def test_batch_noise_of_the_original_is_rounding_in_float32(original: Original) -> None:
    assert 0 < original.facts["noise"] < 1e-4


def test_a_prompt_that_the_converted_model_cannot_take_is_named(certified: Certified, prompts: list[Prompt]) -> None:
    broken = replace(prompts[0], images=dict.fromkeys(prompts[0].images, b"no image"))
    with pytest.raises(VlmakeError, match="fails at prompt 000: ImageError: not an image"):
        converted(certified.converted).seen(broken, 1)


# -- the rules


def seen(**changes: object) -> Seen:
    plain = Seen([1, 2, 3], None, np.array([0.0, 10.0, 9.99], np.float32), [7, 8], "two words")
    return replace(plain, **changes)


def test_half_precision_allows_rounding_and_no_more() -> None:
    tie = seen(logits=np.array([0.0, 9.98, 9.99], np.float32), answer_ids=[7, 9], answer="two worms")
    rules = Rules("bfloat16", noise=0.0)
    assert rules.allowed(10.0) == pytest.approx(8 * 2**-7 * 10)
    row = compare("tie", seen(), tie, rules)
    assert row.faults == ()
    assert (row.best_token_equal, row.answers) == (False, ("two words", "two worms"))
    far = seen(logits=np.array([0.0, 10.0, 11.0], np.float32))
    assert compare("far", seen(), far, rules).faults == ("logits",)
    assert compare("far", seen(), far, Rules("bfloat16", noise=0.5)).faults == ()


def test_float32_counts_every_answer_and_every_logit() -> None:
    rules = Rules("float32", 0.0)
    assert compare("same", seen(), seen(), rules).faults == ()
    assert compare("answer", seen(), seen(answer_ids=[7]), rules).faults == ("answer ids",)
    assert compare("text", seen(), seen(answer="two  words"), rules).faults == ("answer text",)
    assert compare("far", seen(), seen(logits=np.array([0.02, 10, 9.99], np.float32)), rules).faults == ("logits",)
    assert compare("nan", seen(), seen(logits=np.array([np.nan, 10, 9.99], np.float32)), rules).faults == ("logits",)
    assert compare("short", seen(), seen(logits=np.array([0, 10], np.float32)), rules).faults == ("logits",)


def test_tiles_on_one_side_only_are_a_fault() -> None:
    tiles = np.zeros((1, 3, 2, 2), np.float32)
    assert compare("tiles", seen(), seen(tiles=tiles), Rules("float32", 0.0)).faults == ("tiles",)
    assert compare("tiles", seen(tiles=tiles), seen(tiles=tiles + 2e-5), Rules("float32", 0.0)).faults == ("pixels",)


def test_texts_may_differ_only_where_bytes_spell_no_letter() -> None:
    assert same_but_for_bytes("a\ufffdb c", "a\ufffd\ufffd c")
    assert same_but_for_bytes("a c", "a c")
    assert not same_but_for_bytes("ab c", "a\ufffd\ufffd c")
    assert not same_but_for_bytes("a\ufffdbbb c", "a\ufffd\ufffd c")
    assert not same_but_for_bytes("a\ufffd c", "a\ufffd</ref> c")


def test_the_first_difference_may_be_the_length() -> None:
    assert first_difference([1, 2], [1, 2]) is None
    assert first_difference([1, 2], [1, 3, 4]) == 1
    assert first_difference([1, 2], [1, 2, 3]) == 2


# -- the prompts


def test_drawn_prompts_are_the_same_for_the_same_seed() -> None:
    first, again, other = (drawn_prompts(6, seed, PIXELS) for seed in (1, 1, 2))
    assert first == again
    assert [prompt.images for prompt in first] != [prompt.images for prompt in other]


def test_drawn_prompts_try_sizes_modes_and_several_pictures() -> None:
    prompts = drawn_prompts(50, 0, PIXELS)
    images = [data for prompt in prompts for data in prompt.images.values()]
    assert {open_rgb(data).size for data in images} >= set(SIZES)
    assert {modes_of(data) for data in images} >= {"RGB", "L", "RGBA", "LA", "P", "1"}
    counts = [sum(part["type"] == "image" for part in prompt.parts) for prompt in prompts]
    assert (counts.count(1), counts.count(2)) == (44, 6)
    within = [prompt for prompt in prompts if prompt.parts[0]["type"] == "text"]
    assert len(within) == 3, "some pictures stand within the text"
    texts = "".join(part["text"] for prompt in prompts for part in prompt.parts if part["type"] == "text")
    assert texts.isascii() is False and any("\u4e00" <= letter <= "\u9fff" for letter in texts)


def modes_of(data: bytes) -> str:
    import io

    return Image.open(io.BytesIO(data)).mode


def test_a_benchmark_is_asked_as_an_evaluation_asks_it(tmp_path: Path) -> None:
    made = make_benchmark(tmp_path, "Mini", 6)
    tsv = Path(str(made["path"]))
    decode(tsv, source_record("Mini", tsv), tmp_path, tmp_path / "samples.parquet", tmp_path / "images.arrow")
    (tmp_path / "config" / "datasets").mkdir(parents=True)
    (tmp_path / "config" / "datasets" / "here.yaml").write_text(json.dumps({"datasets": {"Mini": made}}))
    entry = load_registry([tmp_path / "config"]).datasets["Mini"]
    settings = BenchmarkSettings({"max_patches": 12}, Frames("{question} Yes or no?"), 4)
    found = dataset_prompts(tmp_path / "samples.parquet", tmp_path / "images.arrow", entry, settings, 4)
    assert len(found) == 4
    assert all(prompt.parts[-1]["text"].endswith(" Yes or no?") for prompt in found)
    assert all(prompt.pixels == {"max_patches": 12} for prompt in found)
    shown = [(prompt.parts[0]["image"], prompt.images) for prompt in found]
    assert all(hashlib.sha256(images[digest]).hexdigest() == digest for digest, images in shown)


# -- what keeps the original from running


def test_the_original_s_program_stands_alone_under_old_pythons() -> None:
    tree = ast.parse(sides.PROGRAM.read_text(encoding="utf-8"), feature_version=(3, 9))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names) | {
        "numpy", "PIL", "torch", "transformers",
    }  # fmt: skip


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter without any package."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def test_missing_packages_are_one_line(certified: Certified, bare_python: Path, tmp_path: Path) -> None:
    with pytest.raises(VlmakeError, match=r"^the original: .* cannot import numpy .*; use the pinned environment$"):
        run(job(tmp_path / "job", certified.place, []), bare_python)


def test_another_transformers_is_one_line(certified: Certified, tmp_path: Path) -> None:
    folder = job(tmp_path / "job", certified.place, [], transformers=("4.37.2", "4.51.3"))
    with pytest.raises(VlmakeError, match=r"^the original: .* has transformers 5\.\S+, and the published code runs"):
        run(folder)


def test_a_checkpoint_without_its_code_is_one_line(certified: Certified, bare_python: Path, tmp_path: Path) -> None:
    folder = job(tmp_path / "job", certified.place, [])
    copy = Path(shutil.copytree((folder / "checkpoint").resolve(), tmp_path / "copy"))
    (folder / "checkpoint").unlink()
    (folder / "checkpoint").symlink_to(copy)
    (copy / "modeling_internvl_chat.py").unlink()
    with pytest.raises(VlmakeError, match=r"modeling_internvl_chat\.py is missing beside config\.json: download"):
        run(folder, bare_python)
    internvl2_original.edit_json(copy / "config.json", lambda config: config.pop("auto_map"))
    with pytest.raises(VlmakeError, match="names no code of its own for AutoModel"):
        run(folder, bare_python)
    (copy / "config.json").write_text("{")
    with pytest.raises(VlmakeError, match=r"^the original: JSONDecodeError: "):
        run(folder, bare_python)


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("kill -9 $$", "was ended by SIGKILL; most likely there was not enough memory"),
        ("echo first >&2; echo 'last words' >&2; exit 3", "ended with code 3: last words"),
    ],
)
def test_an_interpreter_that_ends_early_is_one_line(
    script: str, line: str, certified: Certified, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    with pytest.raises(VlmakeError, match=line):
        run(job(tmp_path / "job", certified.place, []), python)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["TinyVLM"], "model 'TinyVLM' is not converted: it runs in a native class as it was published"),
        (["Mini", "--device", "cpu"], "make it by --make-environment, or by `python"),
        (["Mini", "--python", "/nowhere/python"], "--python /nowhere/python is not there, or is no program"),
        (
            ["Mini", "--python", sys.executable, "--data", "ShapesMME"],
            "is not there: make it by `vlmake data/ShapesMME",
        ),
        (["Gone", "--python", sys.executable, "--device", "cpu"], "model 'Gone': /gone is no checkpoint"),
    ],
)
def test_what_cannot_be_certified_is_one_line(words: list[str], line: str, certified: Certified) -> None:
    certified.place.models["Gone"] = {"path": "/gone", "converter": "internvl2"}
    ran = certified.place.vlmake("certify", *words)
    assert ran.code == 1
    assert line in ran.output
    assert ran.output.count("\n") == 1, ran.output


# -- the environment


def write_wheel(folder: Path) -> Path:
    """Write a wheel of a package without anything in it but a number."""
    file = folder / "pinned_thing-1.0-py3-none-any.whl"
    info = "pinned_thing-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("pinned_thing.py", "NUMBER = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pinned-thing\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return file


def test_an_environment_is_made_from_its_list_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    listed = tmp_path / "internvl2.txt"
    listed.write_text(f"--no-index\n{write_wheel(tmp_path)}\n")
    folder = building.environment_folder(listed, on_core=False)
    folder.mkdir(parents=True)  # an earlier try that was killed
    with pytest.raises(VlmakeError, match="--make-environment"):
        environment.find_python(listed, None, make=False)
    python = environment.find_python(listed, None, make=True)
    shown = subprocess.run([python, "-c", "import pinned_thing; print(pinned_thing.NUMBER)"], stdout=subprocess.PIPE)
    assert shown.stdout == b"42\n"
    assert environment.find_python(listed, None, make=False) == python
    listed.write_text("another list\n")
    assert building.environment_folder(listed, on_core=False) != folder


def test_an_environment_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    listed = tmp_path / "list.txt"
    listed.write_text("--no-index\nno-such-package==1\n")
    with pytest.raises(VlmakeError, match=r"^environment list \(.*\) cannot be made: .*no-such-package"):
        environment.find_python(listed, None, make=True)
    assert not building.is_whole(building.environment_folder(listed, on_core=False))


def test_every_converter_has_a_pinned_list() -> None:
    for converter in ("internvl2",):
        lines = environment.requirements_file(converter).read_text(encoding="utf-8").splitlines()
        pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
        low, high = environment.PUBLISHED[converter].transformers
        assert low <= pins["transformers"] <= high
