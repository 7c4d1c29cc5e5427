"""Scores for which rules stood in for a judge (``judge_fallback: exact``): the next run asks the judge again."""

from collections.abc import Iterable
from pathlib import Path

from vlmake import paths
from vlmake.errors import VlmakeError
from vlmake.judges.judgements import read_judgements


def verdicts_anew(pairs: Iterable[tuple[str, str]], work_dir: Path) -> None:
    """Remove what fell back, of the given (model, dataset), so that the judge is asked again."""
    for model, dataset in pairs:
        for file in paths.judged_files(work_dir, model, dataset):
            judge = paths.judge_in(file.name, dataset)
            if judge and _fell_back(file):
                for path_of in (paths.judgements, paths.judged, paths.score_csv, paths.score_json):
                    (work_dir / path_of(model, dataset, judge)).unlink(missing_ok=True)


def _fell_back(file: Path) -> bool:
    try:
        return read_judgements(file).fallback is not None
    except VlmakeError:
        return True  # a damaged file is made again as well
