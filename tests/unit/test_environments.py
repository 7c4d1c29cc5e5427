"""Lock files, the table of families, and environments that are built, damaged and entered."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vlmake.environments import building, markers
from vlmake.environments.families import families
from vlmake.environments.locks import find_lock, read_lock, shipped_locks
from vlmake.errors import VlmakeError
from vlmake.models import checkpoints
from vlmake.models.model_spec import answer_settings
from vlmake.registry.loading import load_registry
from vlmake.registry.model_entries import PluginEntry, TransformersEntry

# As the users' guide of VLMEvalKit lists them.
PUBLISHED = {
    "4.33.0": "Qwen series, Monkey series, InternLM-XComposer Series, mPLUG-Owl2, OpenFlamingo v2, IDEFICS series,"
    " VisualGLM, MMAlaya, ShareCaptioner, MiniGPT-4 series, InstructBLIP series, PandaGPT, VXVERSE",
    "4.37.0": "LLaVA series, ShareGPT4V series, TransCore-M, LLaVA (XTuner), CogVLM Series, EMU2 Series, Yi-VL Series,"
    " MiniCPM-[V1/V2], OmniLMM-12B, DeepSeek-VL series, InternVL series, Cambrian Series, VILA Series,"
    " Llama-3-MixSenseV1_1, Parrot-7B, PLLaVA Series",
    "4.40.0": "IDEFICS2, Bunny-Llama3, MiniCPM-Llama3-V2.5, 360VL-70B, Phi-3-Vision, WeMM",
    "latest": "LLaVA-Next series, PaliGemma-3B, Chameleon series, Video-LLaVA-7B-HF, Ovis series, Mantis series,"
    " MiniCPM-V2.6, OmChat-v2.0-13B-sinlge-beta, Idefics-3, GLM-4v-9B, VideoChat2-HD",
}
NAMES = {name.strip(): version for version, names in PUBLISHED.items() for name in names.split(", ")}


def write_wheel(folder: Path, name: str, version: str, content: str, command: str | None = None) -> Path:
    """Write a wheel of one module; ``command`` is installed and calls its ``main``."""
    file = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{name}.py", content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        if command is not None:
            wheel.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{command} = {name}:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    return file


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file that has another version of a package that vlmake has as well."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_wheel(tmp_path, "yaml", "0.1", "__version__ = 'other'\n")
    file = tmp_path / "other.txt"
    file.write_text(f"--no-index\n--find-links {tmp_path}\nyaml==0.1  # not the core's\n", encoding="utf-8")
    return file


def said_by(python: Path, code: str) -> str:
    return subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


# -- the table


def test_the_table_has_every_published_family_and_its_version() -> None:
    assert {name: family.transformers for name, family in families().items()} == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_family_resolves_to_an_environment_of_its_version_or_to_one_reason(name: str) -> None:
    family = families()[name]
    assert (family.environment is None) != (family.reason is None)
    if family.environment is not None:
        pinned = find_lock(family.environment).versions["transformers"]
        assert pinned == ("4.49.0" if family.transformers == "latest" else family.transformers)
    else:
        assert family.reason
        assert "\n" not in family.reason


def listed(*words: str) -> str:
    program = [sys.executable, "-c", "from vlmake.cli import main; main()", "list", "environments", *words]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout


def test_the_list_shows_what_there_is_and_what_families_need() -> None:
    head, *lines = listed().splitlines()
    assert head.split() == ["name", "transformers", "environment", "notes"]
    assert [line for line in lines if not line.startswith(" ")] == [
        f"environments ({len(shipped_locks())})",
        f"families ({len(NAMES)})",
    ]
    rows = {line[2:].split("  ")[0]: " ".join(line.split()) for line in lines}
    assert rows["internvl2"] == "internvl2 4.45.2 internvl2"
    assert rows["Idefics-3"] == "Idefics-3 latest transformers-4.49.0"
    assert rows["PandaGPT"] == "PandaGPT 4.33.0 none: its code is a clone of yxuansu/PandaGPT"


def test_the_list_of_families_alone_as_json() -> None:
    rows = json.loads(listed("--family", "families", "--json"))
    assert {row["name"]: row["transformers"] for row in rows} == NAMES
    assert all(bool(row["environment"]) != row["notes"].startswith("none: ") for row in rows)


@pytest.mark.parametrize("name", sorted(shipped_locks()))
def test_every_shipped_lock_file_pins_all_of_its_packages(name: str) -> None:
    lock = find_lock(name)
    assert lock.versions.keys() == {re.split("[=<>! ]", pin)[0].lower().replace("_", "-") for pin in lock.requirements}


def test_environments_that_share_the_cores_torch_pin_only_what_hangs_on_transformers() -> None:
    small = [name for name in shipped_locks() if name.startswith("transformers-")]
    assert len(small) == 6
    for name in small:
        assert find_lock(name).versions.keys() == {"transformers", "tokenizers", "huggingface-hub"}


# -- lock files


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("transformers>=4\n", r"line 1: 'transformers>=4' pins no version"),
        ("# nothing\n", "pins no package"),
        ("a==1\nb==1.*\n", r"line 2: 'b==1\.\*' pins no version"),
        ("a = 1\n", "line 1: 'a = 1' is no requirement"),
    ],
)
def test_a_lock_file_that_pins_less_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(text, encoding="utf-8")
    with pytest.raises(VlmakeError, match=said):
        read_lock(tmp_path / "mine.txt")


def test_a_digest_is_of_the_pins_alone(tmp_path: Path) -> None:
    texts = ("b==2\na==1\n", "# comment\na==1  # why\n--no-index\nb==2\n", "a==1\nb==3\n")
    locks = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
        locks.append(read_lock(tmp_path / f"{number}.txt"))
    assert locks[0].digest == locks[1].digest != locks[2].digest


def test_what_is_locked_is_in_the_key_and_where_it_lies_is_not(tmp_path: Path) -> None:
    shipped = shipped_locks()["transformers-4.49.0"]
    (tmp_path / "mine.txt").write_bytes(shipped.read_bytes())
    plain, named, copied, other = (
        answer_settings(TransformersEntry(path="/x", run_in=run_in))
        for run_in in (None, "transformers-4.49.0", str(tmp_path / "mine.txt"), "transformers-4.57.6")
    )
    assert named == copied
    assert plain == {key: value for key, value in named.items() if key != "locked"}
    assert other != named


def test_a_model_names_a_shipped_environment_or_a_file_beside_its_yaml(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.txt").write_text("a==1\n", encoding="utf-8")
    yaml = tmp_path / "models" / "here.yaml"
    yaml.write_text("models: {A: {path: /x, run_in: ./mine.txt}, B: {path: /x, run_in: transformers-4.49.0}}\n")
    models = load_registry([tmp_path]).models
    assert models["A"].run_in == str(tmp_path / "models" / "mine.txt")
    assert models["B"].run_in == "transformers-4.49.0"
    yaml.write_text("models: {A: {path: /x, run_in: transformer-4.49.0}}\n")
    with pytest.raises(VlmakeError, match=r"A: run_in: unknown environment .*did you mean 'transformers-4\.49\.0'"):
        load_registry([tmp_path])


def test_requirements_are_met_by_the_environment_that_a_model_runs_in() -> None:
    entry = TransformersEntry(path="/x", environment=("transformers==4.49.0", "pydantic>=2"))
    with pytest.raises(VlmakeError, match=r"does not run: `run_in: transformers-4\.49\.0` has it$"):
        checkpoints.require_environment("X", entry)
    checkpoints.require_environment("X", entry.model_copy(update={"run_in": "transformers-4.49.0"}))
    with pytest.raises(VlmakeError, match=r"transformers==4\.49\.0 \(here 4\.57\.6\)"):
        checkpoints.require_environment("X", entry.model_copy(update={"run_in": "transformers-4.57.6"}))
    with pytest.raises(VlmakeError, match=r"needs no-such-package \(not installed here\): pin it in a copy of .*\.txt"):
        asked = {"run_in": "transformers-4.49.0", "environment": ("no-such-package",)}
        checkpoints.require_environment("X", entry.model_copy(update=asked))
    with pytest.raises(VlmakeError, match="pin it in a lock file and give that as `run_in`"):
        checkpoints.require_environment("X", entry.model_copy(update={"environment": ("transformers==4.2.0",)}))


def test_an_environment_that_is_too_old_for_the_generic_backend_is_refused_before_any_work() -> None:
    entry = TransformersEntry(path="/x", environment=("transformers==4.33.0",))
    with pytest.raises(VlmakeError, match=r"`run_in: transformers-4\.33\.0` has it, where a class of your own runs"):
        checkpoints.require_environment("X", entry)
    named = {"run_in": "transformers-4.33.0"}
    with pytest.raises(VlmakeError, match=r"needs transformers 4\.49 or newer: a class of your own runs there"):
        checkpoints.require_environment("X", entry.model_copy(update=named))
    plugin = PluginEntry(backend="plugin", model="mine:Mine", environment=entry.environment, **named)
    checkpoints.require_environment("X", plugin)


# -- environments


def test_an_environment_has_its_own_packages_before_the_cores(lock: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker.json"
    markers.make(read_lock(lock), marker)
    python = markers.read_interpreter(marker)
    code = "import yaml, vlmake, pydantic; print(yaml.__version__)"
    assert said_by(python, code) == "other"
    assert said_by(Path(sys.executable), code) != "other"
    show = "import os, sys, yaml; print(yaml.__version__, sys.argv[1], os.environ['PATH'].split(':')[0])"
    (tmp_path / "show.py").write_text(show, encoding="utf-8")
    words = [sys.executable, "-m", "vlmake.environments.enter", str(marker), str(tmp_path / "show.py"), "a b"]
    ran = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.strip() == f"other a b {python.parent}"


def test_a_damaged_environment_is_seen_and_built_again(lock: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker.json"
    markers.make(read_lock(lock), marker)
    markers.remove_broken(marker)
    assert marker.is_file(), "a whole one stays"
    python = markers.read_interpreter(marker)
    next(python.parents[1].glob("lib/*/site-packages/yaml.py")).unlink()
    with pytest.raises(VlmakeError, match="is not whole any more"):
        markers.read_interpreter(marker)
    markers.remove_broken(marker)
    assert not marker.exists()
    markers.make(read_lock(lock), marker)
    assert said_by(markers.read_interpreter(marker), "import yaml; print(yaml.__version__)") == "other"
    assert json.loads(marker.read_text(encoding="utf-8"))["lock"] == read_lock(lock).digest


def test_what_uv_cannot_find_is_one_line(lock: Path, tmp_path: Path) -> None:
    lock.write_text("--no-index\nno-such-package==1\n", encoding="utf-8")
    with pytest.raises(VlmakeError, match=r"^environment other \(.*\) cannot be made: .*no-such-package") as raised:
        markers.make(read_lock(lock), tmp_path / "marker.json")
    assert "╰" not in str(raised.value)
    assert not building.is_whole(building.environment_folder(lock, on_core=True))
