"""Scores for which rules stood in for a judge (``judge_fallback: exact``): the next run asks the judge again."""

from collections.abc import Iterable
from pathlib import Path

from vlmake import paths
from vlmake.errors import VlmakeError
from vlmake.judges.judgements import read_judgements


def verdicts_anew(names: Iterable[paths.ScoreName], work_dir: Path) -> None:
    """Remove what fell back, of the given scores, so that the judge is asked again.

    Of a benchmark that is made of parts, a stacked score goes with that of a part, when that is made anew.
    """
    for name in names:
        file = work_dir / paths.judgements(*name)
        if name.judge and file.is_file() and _fell_back(file):
            for path_of in (paths.judgements, paths.judged, paths.score_csv, paths.score_json):
                (work_dir / path_of(*name)).unlink(missing_ok=True)


def _fell_back(file: Path) -> bool:
    try:
        return read_judgements(file).fallback is not None
    except VlmakeError:
        return True  # a damaged file is made again as well
