"""The one place that spells a path: where the product lies and where every result file goes.

Rules, scripts' callers and tests use these functions with real names or with ``"{model}"``-style wildcards.
All result paths are relative to the work directory.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vlmake.errors import VlmakeError

NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
LIMITED_NAME = NAME + r"(?:@[1-9][0-9]*)?"
RESERVED_NAMES = frozenset({"report", "summary", "summary.csv"})

TARGET_SUFFIXES = frozenset({".csv", ".json", ".parquet", ".html", ".arrow", ".xlsx", ".tsv"})

SUMMARY = "results/summary.csv"
REPORT = "results/report/index.html"

JUDGE_LOCK = "judge.lock"
"""Which judge ``judge: auto`` became in a work directory."""


def product_root() -> Path:
    """Return the folder with Snakefile, workflow/, profiles/, config/ and resources/: the wheel's or the checkout's."""
    package = Path(__file__).resolve().parent
    shipped = package / "_house"
    return shipped if shipped.is_dir() else package.parents[1]


def scripts() -> Path:
    """Return the folder with one program per stage."""
    return product_root() / "workflow" / "scripts"


@dataclass(frozen=True)
class LimitedName:
    """A dataset's name with its optional row limit: ``MME@20`` is the first 20 rows of ``MME``."""

    base: str
    limit: int | None = None

    def __str__(self) -> str:
        return self.base if self.limit is None else f"{self.base}@{self.limit}"


def parse_dataset(name: str) -> LimitedName:
    """Split ``MME@20`` into base and limit; raise VlmakeError on anything that is no such name."""
    if not re.fullmatch(LIMITED_NAME, name):
        raise VlmakeError(
            f"'{name}' is no dataset name: letters, digits and . _ + - only, with an optional row limit such as MME@20"
        )
    base, _, limit = name.partition("@")
    return LimitedName(base, int(limit) if limit else None)


def source(base: str, data_dir: str = "data") -> str:
    """Return the path of what was downloaded: md5, sha256, size, origin."""
    return f"{data_dir}/{base}/source.json"


def recognised(data_dir: str = "data") -> str:
    """Return the registry folder of what was recognised of benchmarks without an entry, or without a task in it."""
    return f"{data_dir}/recognised"


def samples(base: str, data_dir: str = "data") -> str:
    """Return the path of the benchmark's rows without image bytes."""
    return f"{data_dir}/{base}/samples.parquet"


def images(base: str, data_dir: str = "data") -> str:
    """Return the path of the benchmark's distinct images."""
    return f"{data_dir}/{base}/images.arrow"


def checkpoint(model: str, data_dir: str = "data") -> str:
    """Return the path of what was fetched or converted for a model: folder, identity, pinned commit."""
    return f"{data_dir}/models/{model}/checkpoint.json"


def environment(name: str, digest: str, data_dir: str = "data") -> str:
    """Return the path of the word that an environment is built; ``digest`` is the start of its lock's."""
    return f"{data_dir}/environments/{name}-{digest}.json"


def certificate(model: str) -> str:
    """Return the path of what a converted model's comparison with its original found."""
    return f"certify/{model}.json"


def journal(model: str, base: str) -> str:
    """Return the folder of everything a model ever answered on a benchmark, whatever the limit."""
    return f"results/{model}/{base}/journal"


def server_log(model: str, number: int = 1) -> str:
    """Return where the output goes of the ``number``-th server of a model that runs beside others.

    No benchmark's name begins with an underscore.
    """
    return f"results/{model}/_server.log" if number == 1 else f"results/{model}/_server-{number}.log"


def server_lock(model: str) -> str:
    """Return the lock that a job holds while it runs a model's server on no device of its own."""
    return f"results/{model}/_server.lock"


def account_lock(account: str) -> str:
    """Return the lock that a job holds while it asks a server; ``account`` digests its address and the key's name."""
    return f"results/_endpoints/{account}.lock"


def account_note(account: str) -> str:
    """Return where a job leaves word of what stopped it from asking a server, where all its models are stopped."""
    return f"results/_endpoints/{account}.stopped"


def endpoint_note(model: str) -> str:
    """Return where a job leaves word of what stopped it from asking a model's server, that model alone."""
    return f"results/{model}/_endpoint.stopped"


def shard(model: str, dataset: str, number: str = "{shard}", of: str = "{shards}") -> str:
    """Return the path of one shard's predictions."""
    return f"results/{model}/{dataset}/shards/{number}-of-{of}.parquet"


def shards(model: str, dataset: str, count: int) -> list[str]:
    """Return the paths of all shards, in order."""
    return [shard(model, dataset, f"{number:03d}", f"{count:03d}") for number in range(count)]


def predictions(model: str, dataset: str) -> str:
    """Return the path of all predictions in the benchmark's order."""
    return f"results/{model}/{dataset}_predictions.parquet"


def timing(model: str, dataset: str) -> str:
    """Return the path of the seconds that each prediction took."""
    return f"results/{model}/{dataset}_timing.parquet"


def judge_journal(model: str, base: str, judge: str) -> str:
    """Return the folder of everything a judge ever replied about a model's answers to a benchmark."""
    return f"results/{model}/{base}/judge/{judge}"


def judge_home(judge: str) -> str:
    """Return the folder, under ``results/``, of a judge's locks and logs; no model's name begins with an underscore."""
    return f"_judges/{judge}"


def judgements(model: str, dataset: str, judge: str) -> str:
    """Return the path of what a judge said of each sample that it was asked about: prompt, reply, verdict, cost."""
    return f"results/{model}/{dataset}_judgements.{judge}.parquet"


def judged(model: str, dataset: str, judge: str = "") -> str:
    """Return the path of one row per sample and protocol: extracted answer, rule, hit."""
    return f"results/{model}/{dataset}_judged{_by(judge)}.parquet"


def _by(judge: str) -> str:
    """Return how a file's name tells the judge; nothing where rules alone have scored."""
    return f".{judge}" if judge else ""


def asked_class_log(base: str, data_dir: str = "data") -> str:
    """Return the path of what a dataset class printed while it built its rows."""
    return f"{data_dir}/{base}/class.log"


def scored_class_log(model: str, dataset: str) -> str:
    """Return the path of what a dataset class printed while it evaluated predictions."""
    return f"results/{model}/{dataset}_class.log"


def score_csv(model: str, dataset: str, judge: str = "") -> str:
    """Return the path of the benchmark's table."""
    return f"results/{model}/{dataset}_score{_by(judge)}.csv"


def score_json(model: str, dataset: str, judge: str = "") -> str:
    """Return the path of every protocol's numbers with provenance."""
    return f"results/{model}/{dataset}_score{_by(judge)}.json"


def submission(model: str, dataset: str, ending: str) -> str:
    """Return the path of the file for the server that has the right answers; ``ending`` without a dot."""
    return f"results/{model}/{dataset}_submission.{ending}"


class ScoreName(NamedTuple):
    """What a score's file is called by; without a judge's name, rules alone have scored."""

    model: str
    dataset: str
    judge: str = ""


def present_scores(work_dir: Path) -> list[ScoreName]:
    """Return every score file in the work directory, sorted."""
    pattern = re.compile(rf"({LIMITED_NAME})_score(?:\.({NAME}))?\.json")
    found = []
    for file in (work_dir / "results").glob("*/*_score*.json"):
        if match := pattern.fullmatch(file.name):
            found.append(ScoreName(file.parent.name, match[1], match[2] or ""))
    return sorted(found)


def judged_files(work_dir: Path, model: str, dataset: str) -> list[Path]:
    """Return the files present that rest on a model's predictions: scores and judged rows, whoever judged."""
    folder = work_dir / "results" / model
    kinds = tuple(f"{dataset}_{kind}." for kind in ("score", "judged", "judgements"))
    return sorted(file for file in folder.glob("*_*") if file.name.startswith(kinds)) if folder.is_dir() else []


def present_scores_digest(work_dir: Path, without: Iterable[tuple[str, ...]]) -> str:
    """Return a digest over names and modification times of the present scores but some (model, dataset, judge)."""
    left_out = {ScoreName(*name) for name in without}
    files = [work_dir / score_json(*name) for name in present_scores(work_dir) if name not in left_out]
    listed = [f"{file}:{file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def parse_target(target: str) -> ScoreName | None:
    """Return what a result path such as ``results/M/MME@20_score.csv`` names, else None."""
    match = re.fullmatch(
        r"results/(?P<model>[^/]+)/(?P<dataset>[^/]+?)"
        rf"(?:(?:_score|_judged|_judgements)\.(?P<judge>{NAME})\.(?:csv|json|parquet)"
        r"|_score\.csv|_score\.json|_judged\.parquet|_submission\.[a-z]+|_predictions\.parquet|_timing\.parquet"
        r"|/shards/[0-9]+-of-[0-9]+\.parquet)",
        target,
    )
    return ScoreName(match["model"], match["dataset"], match["judge"] or "") if match else None


def looks_like_target(word: str, data_dir: str = "data") -> bool:
    """Tell whether a command line's word is meant as a file of this workflow."""
    return word.startswith(("results/", f"{data_dir}/")) and Path(word).suffix in TARGET_SUFFIXES


def parse_data_target(target: str, data_dir: str = "data") -> str | None:
    """Return the dataset named by a path such as ``data/MME/samples.parquet``, else None."""
    match = re.fullmatch(rf"{re.escape(data_dir)}/([^/]+)/(?:source\.json|samples\.parquet|images\.arrow)", target)
    return match[1] if match else None


def parse_checkpoint_target(target: str, data_dir: str = "data") -> str | None:
    """Return the model named by a path such as ``data/models/TinyVLM/checkpoint.json``, else None."""
    match = re.fullmatch(rf"{re.escape(data_dir)}/models/([^/]+)/checkpoint\.json", target)
    return match[1] if match else None


def image_root(base: str, lmu_data_folder: Path) -> Path:
    """Return the folder under which a TSV's ``image_path`` cells are looked up."""
    return lmu_data_folder / "images" / base


def lmu_data(configured: str | None) -> Path:
    """Return the folder of published TSVs: the configured one, else ``$LMUData``, else ``~/LMUData``.

    ``LMUData`` is the variable that VLMEvalKit users have set already.
    """
    return Path(configured or os.environ.get("LMUData") or "~/LMUData").expanduser()  # noqa: SIM112
