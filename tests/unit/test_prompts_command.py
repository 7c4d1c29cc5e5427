"""``vlmake prompts``: it says where a model may be asked something else than it shows."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.conftest import BENCHMARKS
from vlmake.commands.prompts import command

PLAIN = "class Mine:\n    def generate(self, messages): return 'Yes'\n"
OWN = f"{PLAIN}    def use_custom_prompt(self, dataset): return True\n"


@pytest.mark.parametrize(
    ("source", "told"), [(PLAIN, []), (OWN, ["vlmake: my_module:Mine may build prompts of its own"])]
)
def test_a_class_that_builds_prompts_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, told: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("config/models")
    folder.mkdir(parents=True)
    (folder / "my_module.py").write_text(source, encoding="utf-8")
    models = {"Mine": {"backend": "plugin", "model": "my_module:Mine", "gpus": 0}}
    (folder / "mine.yaml").write_text(yaml.safe_dump({"models": models}), encoding="utf-8")
    words = ["--dataset", "ShapesMME@2", "--tsv", str(BENCHMARKS / "ShapesMME.tsv"), "--model", "Mine"]
    ran = CliRunner().invoke(command, words)
    assert ran.exit_code == 0, ran.output
    assert [line.split(" (")[0] for line in ran.stderr.splitlines()] == told
    assert [set(json.loads(line)) for line in ran.stdout.splitlines()] == [{"index", "messages"}] * 2
