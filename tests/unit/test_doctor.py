"""What the doctor says of benchmark files and environments: wrong is only what the configured run needs."""

from pathlib import Path

import pytest
import yaml

from tests.conftest import BENCHMARKS, read_tsv, write_tsv
from tests.unit.test_environments import write_wheel
from vlmake import paths
from vlmake.commands.doctor import Finding, check_datasets, check_environments
from vlmake.environments import markers
from vlmake.environments.locks import find_lock, shipped_locks
from vlmake.errors import VlmakeError
from vlmake.registry import own_benchmarks
from vlmake.registry.loading import load_registry, registry_folders
from vlmake.registry.own_benchmarks import look_at_all
from vlmake.runs.planning import Plan
from vlmake.runs.run_config import RunConfig


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "lmu").mkdir()
    return tmp_path


def found(*configured: str) -> dict[str, Finding]:
    """Return the findings in the current folder, by dataset, where these datasets are configured."""
    config = RunConfig(datasets=configured, lmu_data="lmu")
    known, faults = look_at_all(load_registry(registry_folders([])), config)
    return {finding.what.removeprefix("dataset "): finding for finding in check_datasets(Plan(known, config), faults)}


def drop(name: str, answer: str | None = None) -> Path:
    """Put a small benchmark into the data folder; ``answer`` makes its first row faulty."""
    file = Path("lmu") / f"{name}.tsv"
    rows = read_tsv(BENCHMARKS / "ShapesBench.tsv")[:3]
    if answer is not None:
        rows[1][rows[0].index("answer")] = answer
    write_tsv(file, rows)
    return file


def test_a_changed_file_is_wrong_only_where_a_run_needs_it() -> None:
    (Path("lmu") / "MME.tsv").write_text("not what was published", encoding="utf-8")
    (Path("lmu") / "MMMB_ar.tsv").write_text("nor this", encoding="utf-8")
    noted, wrong = found("ShapesMME"), found("MME@20", "MMMB")
    for name in ("MME", "MMMB_ar"):
        assert noted[name].ok is None
        assert wrong[name].ok is False
        assert noted[name].detail == wrong[name].detail
    assert "expected b36b43c3f09801f5d368627fb92187c3" in noted["MME"].detail


def test_a_faulty_tsv_that_nobody_asked_for_is_a_note() -> None:
    drop("Dropped", answer="Q")
    assert found()["Dropped"].ok is None
    assert found("Dropped@2")["Dropped"].ok is False
    drop("Dropped")
    assert found()["Dropped"].ok is True


def test_a_recognised_file_that_was_deleted_is_a_note_until_its_rows_are_needed() -> None:
    tsv = drop("Dropped")
    config = RunConfig(lmu_data="lmu")
    memory = Path(paths.recognised())
    looked = own_benchmarks.look_up(load_registry(registry_folders([])), ["Dropped"], Path("lmu"), memory)
    own_benchmarks.write(looked.entries, memory)
    tsv.unlink()
    assert found()["Dropped"].ok is None
    assert found("Dropped")["Dropped"].ok is False
    for path_of in (paths.samples, paths.images):
        file = Path(path_of("Dropped", config.data_dir))
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert found("Dropped")["Dropped"].ok is None


def test_a_path_that_leads_nowhere_and_a_name_that_is_none() -> None:
    Path("config/datasets").mkdir(parents=True)
    entry = {"path": "../../gone.tsv", "task": "yes_no", "metric": "mme"}
    Path("config/datasets/mine.yaml").write_text(yaml.safe_dump({"datasets": {"Gone": entry}}), encoding="utf-8")
    assert found()["Gone"].ok is None
    assert found("Gone")["Gone"].ok is False
    wrong = found("MMEE")["MMEE"]
    assert wrong.ok is False
    assert "did you mean 'MME'?" in wrong.detail


def environments(*configured: str) -> dict[str, Finding]:
    """Return the findings about environments, by name, where these models are configured."""
    config = RunConfig(models=configured, lmu_data="lmu")
    known = load_registry(registry_folders([]))
    return {found.what.removeprefix("environment "): found for found in check_environments(Plan(known, config))}


def test_environments_are_told_by_whether_they_are_built_and_why_not() -> None:
    Path("config/models").mkdir(parents=True)
    impossible = Path("config/models/impossible.txt")
    impossible.write_text("--no-index\nno-such-package==1\n", encoding="utf-8")
    write_wheel(Path(), "tiny_engine", "0.2", "")
    engine = Path("config/models/engine.txt")
    engine.write_text(f"--no-index\n--find-links {Path.cwd()}\ntiny_engine==0.2\n", encoding="utf-8")
    models = {
        "Good": {"path": "/x", "run_in": "./engine.txt"},
        "Bad": {"path": "/x", "run_in": "./impossible.txt"},
        "Old": {"path": "/x", "run_in": "transformers-4.49.0"},
    }
    Path("config/models/mine.yaml").write_text(yaml.safe_dump({"models": models}), encoding="utf-8")
    shipped = len(shipped_locks())
    (counted,) = environments("TinyVLM").values()
    assert counted.detail.startswith(f"{shipped + 2} more are known and not built")
    before = environments("Good", "Old", "Nonsense")
    assert before["engine"].ok is before["transformers-4.49.0"].ok is None
    assert before["engine"].detail.startswith("not built yet; the run builds it with ")
    assert before["environments"].detail.startswith(f"{shipped} more are known and not built")

    markers.make(find_lock(str(engine.resolve())), Path("engine.json"))
    assert environments("TinyVLM")["engine"].ok is True
    assert "built, " in environments("TinyVLM")["engine"].detail
    with pytest.raises(VlmakeError):
        markers.make(find_lock(str(impossible.resolve())), Path("impossible.json"))
    assert environments("TinyVLM")["impossible"].ok is None
    wrong = environments("Bad")["impossible"]
    assert wrong.ok is False
    assert "no-such-package" in wrong.detail
    assert "\n" not in wrong.detail
