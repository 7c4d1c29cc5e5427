"""What a user's model does to the process that runs it, and what becomes of that."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY
from tests.user_models import Modules, answers, ask, load, made_shard, module_of, request
from vlmake.errors import VlmakeError
from vlmake.model_classes.guarding import end_all_but, running

IDLE = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {IDLE}"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Modules:
    """Modules that can go to a folder ``elsewhere``; the job's own is another."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return Modules(tmp_path)


# -- the working directory

GOES = "import os\ndef go(): os.chdir({folder!r})\n"


@pytest.mark.parametrize(
    "source",
    [
        "go()\nclass Mine:\n    def generate(self, m): return os.getcwd()[:0] + 'yes'\n",
        "class Mine:\n    def __init__(self): go()\n    def generate(self, m): return 'yes'\n",
        "class Mine:\n    def generate(self, m): go(); return 'yes'\n",
        "class Mine:\n    def generate_batch(self, ms): go(); return ['yes'] * len(ms)\n",
        "class Mine:\n    def use_custom_prompt(self, d): go()\n    def generate(self, m): return 'yes'\n",
    ],
)
def test_answers_are_kept_in_the_jobs_folder_wherever_the_class_goes(modules: Modules, source: str) -> None:
    elsewhere = modules.folder / "elsewhere"
    spec = modules.spec(GOES.format(folder=str(elsewhere)) + source)
    shard, images = made_shard(modules.folder / "data", spec, ["one", "two"])
    assert [one.prediction for one in ask(shard, images, spec, Path("journal"))] == ["yes", "yes"]
    assert Path.cwd() == modules.folder / "work"
    assert list(Path("journal").glob("*.jsonl"))
    assert list(elsewhere.iterdir()) == []


def test_a_class_that_goes_elsewhere_and_fails_leaves_the_job_where_it_was(modules: Modules) -> None:
    goes = GOES.format(folder=str(modules.folder / "elsewhere"))
    made = modules.load(f"{goes}class Mine:\n    def generate(self, m): go(); raise ValueError('no')\n")
    assert answers(made, request("text"))[0].startswith("PluginError: ")
    assert Path.cwd() == modules.folder / "work"
    with pytest.raises(VlmakeError, match="no weights"):
        modules.load(f"{goes}class Mine:\n    def __init__(self): go(); raise OSError('no weights')\n")
    assert Path.cwd() == modules.folder / "work"


# -- copies of the process

JOB = """
import sys
from pathlib import Path
from tests.user_models import Modules, ask, made_shard
folder = Path(sys.argv[1])
spec = Modules(folder).spec(sys.stdin.read())
shard, images = made_shard(folder / "data", spec, ["one", "two"])
print([one.prediction for one in ask(shard, images, spec, folder / "journal")], flush=True)
"""


@pytest.mark.parametrize("child", ["return 'of the child'", "raise ValueError('in the child')", "sys.exit(0)"])
def test_a_copy_of_the_process_that_comes_back_is_ended(tmp_path: Path, child: str) -> None:
    source = (
        "import os, sys\nclass Mine:\n    def generate(self, messages):\n"
        f"        if os.fork() == 0:\n            {child}\n        os.wait()\n        return 'of the job'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", JOB, str(tmp_path)], input=source, capture_output=True, text=True, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['of the job', 'of the job']\n"
    assert done.stderr.count(":Mine: generate made a copy of its process") == 2
    lines = [line for file in (tmp_path / "journal").glob("*.jsonl") for line in file.read_text().splitlines()]
    assert len(lines) == 2


# -- processes that are left

STARTS = f"import subprocess, sys\ndef start(): return subprocess.Popen([sys.executable, '-c', {IDLE!r}]).pid\n"


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_a_class_started_ends_with_its_job_and_nothing_else_does(modules: Modules) -> None:
    own = subprocess.Popen([sys.executable, "-c", IDLE])
    try:
        spec = modules.spec(
            f"{STARTS}class Mine:\n    def __init__(self): Mine.early = start()\n"
            "    def generate(self, m): return str(start())\n"
        )
        made = load(spec)
        late = int(answers(made, request("text"))[0])
        early = module_of(spec).Mine.early
        assert runs(early) and runs(late)
        made.close()
        assert not (runs(early) or runs(late))
        assert runs(own.pid)
    finally:
        own.kill()
        own.wait()


def test_what_a_class_started_that_could_not_be_made_is_ended(modules: Modules) -> None:
    before = running()
    with pytest.raises(VlmakeError, match="no weights"):
        modules.load(f"{STARTS}class Mine:\n    def __init__(self): start(); raise OSError('no weights')\n")
    assert running() == before


def test_a_process_that_does_not_want_to_end_is_killed() -> None:
    before = running()
    started = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    end_all_but(before, grace=0.5)
    assert not runs(started.pid)
    started.stdout.close()


def test_the_process_by_which_multiprocessing_cleans_up_is_left_to_itself() -> None:
    program = (
        "import psutil\nfrom multiprocessing import resource_tracker\n"
        "from vlmake.model_classes.guarding import end_all_but\n"
        "resource_tracker.ensure_running()\nend_all_but(frozenset(), grace=0.5)\n"
        "print([child.status() != 'zombie' for child in psutil.Process().children()])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout == "[True]\n"
