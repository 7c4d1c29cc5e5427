"""Files made to break the decode stage: each ends in samples with marked rows or in one line, and none leads outside.

``python -m tests.faults.hostile_tsv --examples 10000`` does the same at length.
"""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import REPOSITORY
from tests.faults.hostile_tsv import Place, check, hostile_tsvs, odd_images


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("hostile"))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_hostile_file_is_decoded_with_marks_or_refused_in_one_line(data: st.DataObject, place: Place) -> None:
    images = odd_images()
    check(place, data.draw(hostile_tsvs(place.names(), len(images))).content(images))


@pytest.mark.parametrize("kind", ["whole", "marked", "refused"])
def test_the_check_tells_what_became_of_a_file(kind: str, place: Place) -> None:
    content = {
        "whole": b"index\timage_path\n1\tsub/a.png\n",
        "marked": b"index\timage_path\n1\tsub/a.png\n2\tlink.png\n3\t" + str(place.secret).encode() + b"\n",
        "refused": b"index\timage_path\n1\tsub/a.png\textra\n",
    }
    assert check(place, content[kind]) == kind


def test_no_file_outside_is_opened() -> None:
    """In a process of its own, whose audit hook sees every file that Python opens."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.hostile_tsv", "--examples", "150", "--no-large"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["examples"] >= 150 and report["refused"] and report["marked"]
