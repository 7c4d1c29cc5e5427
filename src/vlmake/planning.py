"""What a plan needs to know: shard counts, and one canonical text per concern that says when a file is stale.

Everything here is cheap and offline: it runs for every job of every plan, before any work.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from vlmake import digests, model_spec, paths, prompts
from vlmake.errors import VlmakeError
from vlmake.journal import epoch_of
from vlmake.registry import DatasetEntry, Registry, shards
from vlmake.run_config import RunConfig
from vlmake.scoring_digest import source_digest
from vlmake.store import canonical_json, text_digest


class Plan:
    """A registry and a configuration, asked by the rules. Results are remembered for the life of the plan."""

    def __init__(self, registry: Registry, config: RunConfig) -> None:
        self.registry = registry
        self.config = config
        self._model_spec = cache(lambda name: model_spec.planning_spec(registry.models[name]))
        self._renderer = cache(lambda: text_digest(Path(prompts.__file__).read_text(encoding="utf-8")))

    def model_pattern(self) -> str:
        """Return a regular expression that matches the registered model names and nothing else."""
        return _alternatives(self.registry.models)

    def dataset_pattern(self) -> str:
        """Return a regular expression for the registered dataset names, each with an optional row limit."""
        return rf"(?:{self.base_pattern()})(?:@[1-9][0-9]*)?"

    def base_pattern(self) -> str:
        """Return a regular expression for the registered dataset names without limits."""
        return _alternatives(self.registry.datasets)

    def one_shard_pattern(self) -> str:
        """Return a regular expression for the dataset names whose rows fit one inference job."""
        whole = [name for name in self.registry.datasets if self.shards(name) == 1]
        patterns = [rf"(?:{_alternatives(whole)})(?:@[1-9][0-9]*)?"] if whole else []
        cut: dict[int, list[str]] = {}
        for name, entry in self.registry.datasets.items():
            if self.shards(name) > 1:
                cut.setdefault(self.config.rows_per_shard or entry.rows_per_shard, []).append(name)
        patterns += [f"(?:{_alternatives(names)})@(?:{_numbers_up_to(rows)})" for rows, names in cut.items()]
        return "|".join(patterns)

    def many_shards_pattern(self) -> str:
        """Return a regular expression for the dataset names, before ``_predictions``, that need several jobs."""
        return rf"(?!(?:{self.one_shard_pattern()})_(?:predictions|timing)\.)(?:{self.dataset_pattern()})"

    def check_targets(self, words: Iterable[str]) -> None:
        """Raise VlmakeError for the first word that is a result path with an unknown model or dataset in it."""
        for word in words:
            if (named := paths.parse_target(word)) is None:
                continue
            try:
                canonical = (self.registry.resolve_model(named[0]), self.registry.resolve_dataset(named[1]))
            except VlmakeError as error:
                raise VlmakeError(f"{word}: {error}") from error
            if canonical != named:
                raise VlmakeError(f"{word}: {'/'.join(named)} is another name of {'/'.join(canonical)}; use that one")

    def shards(self, dataset: str) -> int:
        """Return how many inference jobs a dataset takes."""
        name = paths.parse_dataset(dataset)
        return shards(self.registry.datasets[name.base], name.limit, self.config.rows_per_shard)

    def tsv(self, base: str) -> Path:
        """Return where the benchmark's TSV lies or will lie."""
        entry = self.registry.datasets[base]
        return Path(entry.path) if entry.path else paths.lmu_data(self.config.lmu_data) / f"{base}.tsv"

    def download_arguments(self, base: str) -> list[str]:
        """Return the download program's arguments that say where the TSV comes from and what it must be."""
        entry = self.registry.datasets[base]
        if not entry.path and not entry.url:
            raise VlmakeError(f"dataset '{base}' has neither `url` nor `path`")
        urls = [] if entry.path else [word for url in entry.url for word in ("--url", url)]
        return ["--tsv", str(self.tsv(base)), *urls, *(word for md5 in entry.md5 for word in ("--md5", md5))]

    def image_root(self, base: str) -> Path:
        """Return the folder under which a TSV's ``image_path`` cells are looked up."""
        return paths.lmu_data(self.config.lmu_data) / "images" / base

    def source_spec(self, base: str) -> str:
        """Return what makes the downloaded file stale: accepted md5s, or the content of a local file.

        A local file that is gone stales nothing that was made from it.
        """
        entry = self.registry.datasets[base]
        content: dict[str, Any] = {"md5": sorted(entry.md5)}
        if entry.path is not None:
            content["sha256"] = self._local_digest(Path(entry.path), base)
        return canonical_json(content)

    def _local_digest(self, tsv: Path, base: str) -> str | None:
        if tsv.is_file():
            return digests.file_digest(tsv)
        known = Path(paths.source(base, self.config.data_dir))
        return str(json.loads(known.read_text(encoding="utf-8"))["sha256"]) if known.is_file() else None

    def inference_spec(self, model: str, dataset: str) -> str:
        """Return what makes predictions stale: checkpoint, settings, prompt, and a request for fresh ones."""
        base = paths.parse_dataset(dataset).base
        entry = self.registry.datasets[base]
        content = {
            "model": self._model_spec(model),
            "max_new_tokens": model_spec.longest_answer(self.registry.models[model], entry),
            "prompt": prompt_spec(entry),
            "renderer": self._renderer(),
            "epoch": epoch_of(Path(paths.journal(model, base)), dataset),
        }
        return canonical_json(content)

    def scoring_spec(self, dataset: str) -> str:
        """Return what makes a score stale: task, metric, protocol, and the source of the scorer."""
        return canonical_json(scoring_settings(self.registry, self.config, dataset) | {"source": self._source(dataset)})

    def _source(self, dataset: str) -> str:
        return source_digest(self.registry.dataset(dataset).metric)


def prompt_spec(entry: DatasetEntry) -> dict[str, Any]:
    """Return the part of a dataset entry that can change an answer."""
    return entry.model_dump(mode="json", include={"task", "prompt"})


def scoring_settings(registry: Registry, config: RunConfig, dataset: str) -> dict[str, Any]:
    """Return how a dataset is scored, apart from the scorer's source."""
    entry = registry.dataset(dataset)
    return {"dataset": dataset, "task": entry.task, "metric": entry.metric, "protocol": config.protocol}


def _alternatives(names: Iterable[str]) -> str:
    """Return an alternation of literal names, longest first, that matches nothing when there are none."""
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True)) or r"(?!)"


def _numbers_up_to(most: int) -> str:
    """Return a regular expression for the whole numbers from 1 to ``most``, without leading zeros."""
    digits = str(most)
    patterns = [f"[1-9][0-9]{{{length - 1}}}" for length in range(1, len(digits))]
    for place, digit in enumerate(digits):
        lowest = 1 if place == 0 else 0
        if int(digit) > lowest:
            rest = len(digits) - place - 1
            patterns.append(f"{digits[:place]}[{lowest}-{int(digit) - 1}][0-9]{{{rest}}}")
    return "|".join([*patterns, digits])
