"""The report page: one HTML file without scripts and without anything from elsewhere.

Every text comes from a file or a model and is untrusted. Jinja escapes it, and ``visible`` writes out what would hide
or reorder text; both happen to every expression of every template, so no template can forget it. The page's own
policy forbids scripts, frames, forms and requests.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vlmake import paths
from vlmake.inference.statuses import STATUSES
from vlmake.report.collect import OPEN, RIGHT, SAMPLES_PER_VERDICT, WRONG, Samples, collect_samples
from vlmake.report.pictures import Picture
from vlmake.report.scores import (
    Score,
    judge_line,
    missing_line,
    number,
    percent,
    places,
    read_scores,
    status_counts,
    trouble_line,
)
from vlmake.report.tables import SplitTable, more_tables, overview, split_tables
from vlmake.report.text import one_line, pieces, visible
from vlmake.store import atomic_path

SCORES_WITH_SAMPLES = 150
"""Further scores have their tables on the page, and no samples."""

SCORES_WITH_SECTION = 1_000
"""Further scores have their line in the overview, and no section."""

PICTURE_BYTES = 32 << 20
"""All thumbnails of a page together; each distinct picture is on it once, however many models saw it."""

TROUBLE_LINES = 100
_LONGEST_PROVENANCE = 400

VERDICT_TITLES = {RIGHT: "Right", WRONG: "Wrong", OPEN: "No answer found"}


@dataclass(frozen=True)
class Section:
    """One score's part of the page."""

    anchor: str
    score: Score
    tables: Sequence[SplitTable]
    more: Sequence[tuple[str, Sequence[SplitTable]]]
    samples: Samples | None
    provenance: Sequence[tuple[str, str]]


class Pictures:
    """The distinct thumbnails of a page: each gets an id at its first use and stands at the page's end."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._ids: dict[str, str] = {}
        self.used: list[tuple[str, Picture]] = []

    def place(self, picture: Picture) -> str | None:
        """Return the id under which the page holds a picture, or None when the page is full."""
        if picture.digest not in self._ids and len(picture.uri) <= self._left:
            self._left -= len(picture.uri)
            self._ids[picture.digest] = f"p{len(self.used)}"
            self.used.append((self._ids[picture.digest], picture))
        return self._ids.get(picture.digest)


def write_page(target: Path, work_dir: Path, data_dir: Path) -> None:
    """Write the page over every score present in ``work_dir``.

    Args:
        target: The HTML file, replaced atomically.
        work_dir: The folder with ``results/``.
        data_dir: Where decoded benchmarks lie; without them samples have no picture and no question.
    """
    with atomic_path(target) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        for text in render(work_dir, data_dir):
            file.write(text)


def render(work_dir: Path, data_dir: Path) -> Iterator[str]:
    """Yield the page's text; samples are read dataset by dataset, when their part of the page is due."""
    scores, broken = read_scores(work_dir, paths.present_scores(work_dir))
    scores.sort(key=lambda score: (score.dataset, score.judged_by, score.model))
    protocols = sorted({score.protocol for score in scores})
    troubled = [score for score in scores if score.trouble()]
    pictures = Pictures(PICTURE_BYTES)
    return (
        _environment()
        .get_template("page.html")
        .generate(
            scores=scores,
            broken=broken,
            protocols=protocols,
            overview=overview(scores),
            anchors={(score.model, score.shown_as): f"s{n}" for n, score in enumerate(scores[:SCORES_WITH_SECTION])},
            counts=status_counts(scores),
            unresolved=sum(score.unresolved for score in scores),
            no_image=sum(score.samples.no_image for score in scores),
            total=sum(score.samples.total for score in scores),
            fine=STATUSES[0],
            troubled=troubled[:TROUBLE_LINES],
            more_troubled=len(troubled) - len(troubled[:TROUBLE_LINES]),
            datasets=_datasets(scores[:SCORES_WITH_SECTION], work_dir, data_dir),
            pictures=pictures,
            limits={"samples": SCORES_WITH_SAMPLES, "sections": SCORES_WITH_SECTION, "shown": SAMPLES_PER_VERDICT},
            verdict_titles=VERDICT_TITLES,
        )
    )


def _datasets(scores: Sequence[Score], work_dir: Path, data_dir: Path) -> Iterator[tuple[str, Iterator[Section]]]:
    """Yield each dataset with the sections of its scores; a section is made when it is asked for."""
    numbered = list(enumerate(scores))
    for dataset, group in groupby(numbered, key=lambda item: item[1].dataset):
        yield dataset, _sections(list(group), work_dir, data_dir)


def _sections(numbered: Sequence[tuple[int, Score]], work_dir: Path, data_dir: Path) -> Iterator[Section]:
    sampled = [score for place, score in numbered if place < SCORES_WITH_SAMPLES]
    samples = collect_samples(work_dir, data_dir, sampled) if sampled else iter(())
    for place, score in numbered:
        yield Section(
            anchor=f"s{place}",
            score=score,
            tables=split_tables(score),
            more=more_tables(score),
            samples=next(samples, None),
            provenance=list(_flat(score.provenance)),
        )


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield a nested value as (dotted name, text)."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif value is not None or name:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield one_line(name), one_line(text, _LONGEST_PROVENANCE)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "pieces": pieces,
        "one_line": one_line,
        "decimals": lambda score: places(score.metric, score.protocols.values()),
        "missing": missing_line,
        "judge": judge_line,
        "trouble": lambda score: trouble_line(score.trouble(), score.samples.total).replace("_", " "),
    }
    environment.tests["picture"] = lambda value: isinstance(value, Picture)
    return environment


def _visible(value: Any) -> Any:
    """Return any text of a template visible; markup that a template made itself stays as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
