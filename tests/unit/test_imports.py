"""Light commands stay light: what must not be imported is looked for in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

HEAVY = {"torch", "transformers"}
LIGHT_HELP = {*HEAVY, "pandas", "pyarrow", "snakemake", "pydantic", "rich", "numpy"}
SCRIPTS = sorted((REPOSITORY / "workflow" / "scripts").glob("*.py"))
LIBRARY = sorted(
    ".".join(file.relative_to(REPOSITORY / "src").with_suffix("").parts).removesuffix(".__init__")
    for file in (REPOSITORY / "src").rglob("*.py")
)


def loaded_after(program: str) -> set[str]:
    """Return the top-level modules that are loaded once ``program`` has run."""
    probe = "\nimport sys; print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program + probe], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rsplit("LOADED", 1)[1].split())


def test_help_imports_next_to_nothing() -> None:
    program = (
        "import sys; sys.argv = ['vlmake', '--help']\n"
        "try:\n    from vlmake.cli import main; main()\nexcept SystemExit: pass"
    )
    assert not LIGHT_HELP & loaded_after(program)


def test_listing_loads_no_model_library() -> None:
    program = (
        "import sys; sys.argv = ['vlmake', 'list', 'datasets']\n"
        "try:\n    from vlmake.cli import main; main()\nexcept SystemExit: pass"
    )
    assert not (HEAVY | {"pandas", "pyarrow", "snakemake"}) & loaded_after(program)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.stem)
def test_no_script_loads_a_model_library_before_it_must(script: Path) -> None:
    program = f"import runpy; runpy.run_path({str(script)!r}, run_name='imported')"
    assert not HEAVY & loaded_after(program)


def test_no_module_of_the_library_loads_a_model_library() -> None:
    """Backends too: they import torch inside the functions that need it."""
    imports = "\n".join(f"import {name}" for name in LIBRARY)
    assert not HEAVY & loaded_after(imports)


def test_planning_loads_no_tables() -> None:
    """Ten thousand jobs are planned without pandas or pyarrow."""
    assert not (HEAVY | {"pandas", "pyarrow"}) & loaded_after("import vlmake.runs.planning, vlmake.runs.work_dir")
