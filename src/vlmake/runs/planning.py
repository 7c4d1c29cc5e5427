"""What a plan needs to know: shard counts, and one canonical text per concern that says when a file is stale.

Everything here is cheap and offline: it runs for every job of every plan, before any work.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from vlmake import digests, paths
from vlmake.dataset_classes.source import EVALUATION_VERSION
from vlmake.environments import markers
from vlmake.environments.locks import find_lock
from vlmake.errors import VlmakeError
from vlmake.importing.entry import refuse_not_imported
from vlmake.inference import prompts
from vlmake.inference.journal import epoch_of
from vlmake.judges.resolution import Choice, entry_of
from vlmake.models import checkpoints, model_spec
from vlmake.registry.dataset_entries import shards, tsv_path
from vlmake.registry.hf_names import edited_digest, source_spec
from vlmake.registry.judge_entries import Judge
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import CheckpointEntry
from vlmake.registry.readiness import Readiness, readiness
from vlmake.runs.patterns import alternatives, numbers_up_to
from vlmake.runs.run_config import RunConfig, configured_pairs
from vlmake.runs.specs import (
    entry_class_digest,
    judging_settings,
    prompt_spec,
    roundtrip_spec,
    scoring_settings,
)
from vlmake.scoring.scoring_digest import module_digest, source_digest
from vlmake.store import canonical_json, text_digest
from vlmake.submissions.registry import submission_entry

_HERE = Path()


class Plan:
    """A registry and a configuration, asked by the rules. Results are remembered for the life of the plan."""

    def __init__(self, registry: Registry, config: RunConfig, choice: Choice = Choice()) -> None:  # noqa: B008
        self.registry = registry
        self.config = config
        self.choice = choice
        self._model_spec = cache(lambda name: model_spec.planning_spec(registry.models[name], config.hub))
        self._judge_identity = cache(lambda name: model_spec.planning_spec(self.judge_entry(name), config.hub))
        self._renderer = cache(lambda: text_digest(Path(prompts.__file__).read_text(encoding="utf-8")))

    def model_pattern(self) -> str:
        """Return a regular expression that matches the registered model names and nothing else."""
        return alternatives(self.registry.models)

    def dataset_pattern(self) -> str:
        """Return a regular expression for the registered dataset names, each with an optional row limit."""
        return rf"(?:{self.base_pattern()})(?:@[1-9][0-9]*)?"

    def base_pattern(self) -> str:
        """Return a regular expression for the registered dataset names without limits."""
        return alternatives(self.registry.datasets)

    def one_shard_pattern(self) -> str:
        """Return a regular expression for the dataset names whose rows fit one inference job."""
        whole = [name for name in self.registry.datasets if self.shards(name) == 1]
        patterns = [rf"(?:{alternatives(whole)})(?:@[1-9][0-9]*)?"] if whole else []
        cut: dict[int, list[str]] = {}
        for name, entry in self.registry.datasets.items():
            if self.shards(name) > 1:
                cut.setdefault(self.config.rows_per_shard or entry.rows_per_shard, []).append(name)
        patterns += [f"(?:{alternatives(names)})@(?:{numbers_up_to(rows)})" for rows, names in cut.items()]
        return "|".join(patterns)

    def many_shards_pattern(self) -> str:
        """Return a regular expression for the dataset names, before ``_predictions``, that need several jobs."""
        return rf"(?!(?:{self.one_shard_pattern()})_(?:predictions|timing)\.)(?:{self.dataset_pattern()})"

    def check_targets(self, words: Iterable[str]) -> None:
        """Raise VlmakeError for the first word that looks like a result file and is none, or has an unknown name."""
        for word in words:
            if paths.looks_like_target(word, self.config.data_dir):
                try:
                    self._check_target(word)
                except VlmakeError as error:
                    raise VlmakeError(f"{word}: {error}") from error

    def asked_pairs(self, words: Sequence[str]) -> list[tuple[str, str]]:
        """Return the (model, dataset) whose files a command line names, the configured ones where it names no file."""
        if not any(paths.looks_like_target(word, self.config.data_dir) for word in words):
            return configured_pairs(self.config, self.registry)
        return list(dict.fromkeys(named[:2] for word in words if (named := paths.parse_target(word))))

    def asked_scores(self, words: Sequence[str]) -> list[paths.ScoreName]:
        """Return the scores whose files a command line asks for, with their judges and those of their parts."""
        named = [name for word in words if (name := paths.parse_target(word))]
        asked = named or [paths.ScoreName(*pair) for pair in self.asked_pairs(words)]
        wholes = [name._replace(judge=name.judge or self.judge_of(name.dataset)) for name in asked]
        parts = [name._replace(dataset=part) for name in wholes for part in self.parts(name.dataset)]
        return [*wholes, *parts]

    def _check_target(self, word: str) -> None:
        if word in (paths.SUMMARY, paths.REPORT):
            return
        if (base := paths.parse_data_target(word, self.config.data_dir)) is not None:
            self._check_names({base: self.registry.resolve_dataset(base)})
            self._check_has_data(base)
            return
        if (model := paths.parse_checkpoint_target(word, self.config.data_dir)) is not None:
            self._check_names({model: self.registry.resolve_model(model)})
            return
        if (named := paths.parse_target(word)) is None:
            example = paths.score_csv("MODEL", "DATASET")
            raise VlmakeError(f"no file of this workflow has such a name; a score is {example}")
        model, dataset, judge = named
        self._check_names({model: self.registry.resolve_model(model), dataset: self.registry.resolve_dataset(dataset)})
        results = self.results(model, dataset)  # refuses what cannot be run
        if judge:
            self._check_judge(dataset, judge)
            return
        scores = (paths.score_csv(model, dataset), paths.score_json(model, dataset), paths.judged(model, dataset))
        if word in scores and self._readiness(dataset, None).result != "score":
            reason = self._readiness(dataset, None).reason
            raise VlmakeError(f"dataset '{dataset}' has no score: {reason}; make {results[0]}")
        if "_submission." in word and word not in results:
            raise VlmakeError(f"dataset '{dataset}' has no such file to hand in; make {results[0]}")
        if (parts := self.parts(dataset)) and word not in (*results, *scores[:2]):
            raise VlmakeError(f"dataset '{dataset}' has no such file: it is made of {', '.join(parts)}")

    def _check_judge(self, dataset: str, judge: str) -> None:
        """Raise VlmakeError for a judge that is none, or has nothing to judge in a benchmark."""
        self._check_names({judge: self.registry.resolve_judge(judge)})
        for part in self.parts(dataset) or [dataset]:
            if Choice(judge).judge_of(self.registry.dataset(part)) is None:
                raise VlmakeError(f"dataset '{part}' leaves a judge nothing to do: make its score without one")

    def judge_of(self, dataset: str) -> str:
        """Return who judges a dataset in this run, empty for nobody; of one that is made of parts, who judges those."""
        judge = next(
            (
                judge
                for part in self.parts(dataset) or [dataset]
                if (judge := self.choice.judge_of(self.registry.dataset(part)))
            ),
            None,
        )
        return self.registry.resolve_judge(judge) if judge else ""

    def judge_gpus(self, dataset: str) -> int:
        """Return how many GPUs the dataset's judge asks for: none where nobody judges, or a server does."""
        judge = self.judge_of(dataset)
        return self.registry.judges[judge].gpus if judge else 0

    def judge_pattern(self) -> str:
        """Return a regular expression that matches the registered judges' names and nothing else."""
        return alternatives(self.registry.judges)

    def judge_entry(self, judge: str, work_dir: Path = _HERE) -> Judge:
        """Return a judge's entry with what it leaves to variables."""
        return entry_of(judge, self.choice, self.registry, work_dir)

    def judge_spec(self, dataset: str, judge: str) -> str:
        """Return what makes a judge's verdicts stale: who is asked, how, and what rules leave open."""
        metric = self.registry.dataset(dataset).metric or ""
        content = {
            "dataset": dataset,
            **scoring_settings(self.registry, self.config, dataset),
            **judging_settings(metric),
            "judge": self._judge_identity(judge),
            "max_new_tokens": self.registry.judges[judge].max_new_tokens,
            "source": self._source(dataset),
            "max_failures": self.config.max_failures,
            "fallback": self.config.judge_fallback,
            "self_agreement": self.config.self_agreement,
        }
        return canonical_json({key: value for key, value in content.items() if key != "protocol"})

    def judged_scoring_spec(self, dataset: str, judge: str) -> str:
        """Return what makes a score stale that a judge has part in."""
        settings = scoring_settings(self.registry, self.config, dataset) | {"judge": judge}
        settings |= judging_settings(self.registry.dataset(dataset).metric or "")
        return canonical_json(settings | {"source": self._source(dataset)})

    def _check_has_data(self, base: str) -> None:
        entry = self.registry.datasets[base]
        if entry.parts:
            raise VlmakeError(f"dataset '{base}' has no data of its own: it is made of {', '.join(entry.parts)}")
        if (ready := readiness(entry)).result == "nothing":
            raise VlmakeError(f"dataset '{base}': {ready.reason}")

    def _check_names(self, canonical: dict[str, str]) -> None:
        for given, registered in canonical.items():
            if given != registered:
                raise VlmakeError(f"'{given}' is another name of '{registered}'; a file has the registered one")

    def parts(self, dataset: str) -> list[str]:
        """Return the benchmarks that a dataset is made of, each with its row limit; none for an ordinary one."""
        name = paths.parse_dataset(dataset)
        return [str(paths.LimitedName(part, name.limit)) for part in self.registry.datasets[name.base].parts]

    def made_of(self, dataset: str) -> list[str]:
        """Return the benchmarks of which a dataset is a part, each with its row limit."""
        name = paths.parse_dataset(dataset)
        wholes = [whole for whole, entry in self.registry.datasets.items() if name.base in entry.parts]
        return [str(paths.LimitedName(whole, name.limit)) for whole in wholes]

    def results(self, model: str, dataset: str) -> list[str]:
        """Return the files in which a run of a (model, dataset) ends: score, file to hand in, or predictions.

        Raises VlmakeError for a benchmark that cannot be run yet, or of which an imported model has no predictions.
        """
        entry = self.registry.dataset(dataset)
        ready = self._readiness(dataset, self.judge_of(dataset))
        if ready.result == "nothing":
            raise VlmakeError(f"dataset '{paths.parse_dataset(dataset).base}': {ready.reason}")
        if (imported := self.registry.models.get(model)) is not None:
            for one in self.parts(dataset) or [dataset]:
                refuse_not_imported(model, imported, paths.parse_dataset(one).base)
        if entry.dataset is not None and self.config.image_roundtrip != "off":
            raise VlmakeError(f"dataset '{dataset}': its class says which images are shown; set `image_roundtrip: off`")
        if ready.result == "score":
            self._check_parts_are_scored(entry.parts, dataset)
            return [paths.score_csv(model, dataset, self.judge_of(dataset))]
        if entry.parts:
            return [file for part in self.parts(dataset) for file in self.results(model, part)]
        if ready.result == "submission" and entry.submission:
            return [paths.submission(model, dataset, submission_entry(entry.submission).ending)]
        return [paths.predictions(model, dataset)]

    def check_models(self, pairs: Iterable[tuple[str, str]], work_dir: Path = _HERE, *, anew: bool = False) -> None:
        """Raise VlmakeError for a model that is to answer and cannot be loaded here, before anything is fetched.

        Args:
            pairs: (Model, dataset) that were asked for; ``results`` has accepted them.
            work_dir: The folder with ``results/``. A model whose predictions are all there may be gone.
            anew: Whether all of them are made again.
        """
        asked = [
            model
            for model, dataset in pairs
            for part in self.parts(dataset) or [dataset]
            if anew or not (work_dir / paths.predictions(model, part)).is_file()
        ]
        for model in dict.fromkeys(asked):
            entry = self.registry.models[model]
            checkpoints.require_environment(model, entry)
            pinned = work_dir / paths.checkpoint(model, self.config.data_dir)
            if isinstance(entry, CheckpointEntry) and not (self.is_prepared(model) and pinned.is_file()):
                checkpoints.require_local(model, entry, self.config.hub)

    def _check_parts_are_scored(self, parts: Iterable[str], dataset: str) -> None:
        for part in parts:
            if (ready := self._readiness(part, self.judge_of(part))).result != "score":
                raise VlmakeError(f"dataset '{dataset}' is scored by its parts, and '{part}' is not: {ready.reason}")

    def is_scored(self, dataset: str) -> bool:
        """Tell whether a run of the dataset ends in a score."""
        return self._readiness(dataset, self.judge_of(dataset)).result == "score"

    def ending(self, dataset: str) -> Readiness:
        """Return what a run of the dataset ends in, and why it is no score."""
        return self._readiness(dataset, self.judge_of(dataset))

    def _readiness(self, dataset: str, judge: str | None) -> Readiness:
        return readiness(self.registry.dataset(dataset), judged=bool(judge))

    def parted_pattern(self) -> str:
        """Return a regular expression for the datasets that are made of others, with an optional row limit."""
        parted = [name for name, entry in self.registry.datasets.items() if entry.parts]
        return rf"(?:{alternatives(parted)})(?:@[1-9][0-9]*)?"

    def class_pattern(self) -> str:
        """Return a regular expression for the datasets that are a class of the user's, with an optional row limit."""
        return rf"(?:{self.class_base_pattern()})(?:@[1-9][0-9]*)?"

    def class_base_pattern(self) -> str:
        """Return the same without a limit."""
        return alternatives(name for name, entry in self.registry.datasets.items() if entry.dataset is not None)

    def tsv_base_pattern(self) -> str:
        """Return a regular expression for the datasets that are no class, without limits."""
        return alternatives(name for name, entry in self.registry.datasets.items() if entry.dataset is None)

    def whole_pattern(self) -> str:
        """Return a regular expression for the datasets of neither parts nor class, with an optional row limit."""
        whole = [name for name, entry in self.registry.datasets.items() if not (entry.parts or entry.dataset)]
        return rf"(?:{alternatives(whole)})(?:@[1-9][0-9]*)?"

    def shards(self, dataset: str) -> int:
        """Return how many inference jobs a dataset takes."""
        name = paths.parse_dataset(dataset)
        return shards(self.registry.datasets[name.base], name.limit, self.config.rows_per_shard)

    def tsv(self, base: str) -> Path:
        """Return where the benchmark's TSV lies or will lie."""
        return tsv_path(base, self.registry.datasets[base], paths.lmu_data(self.config.lmu_data))

    def source_spec(self, base: str) -> str:
        """Return what makes the downloaded file stale: content of a local file, or an md5 no longer accepted.

        Where a file comes from stales nothing, and neither does a local file that is gone. Where a class of the user's
        says what the file is, its source does.
        """
        entry = self.registry.datasets[base]
        known = _read_source(Path(paths.source(base, self.config.data_dir)))
        if entry.path is not None:
            tsv = Path(entry.path)
            return digests.file_digest(tsv) if tsv.is_file() else known.get("sha256", "never seen")
        if entry.dataset is not None and not entry.url:
            return self.class_spec(base)
        if entry.source is not None:
            wanted = source_spec(entry.source, entry.columns, entry.task, entry.answers, entry.first_option)
            edited = edited_digest(self.tsv(base))
            return wanted if edited is None else canonical_json({"wanted": wanted, "edited": edited})
        accepted = [md5.lower() for md5 in entry.md5]
        return canonical_json(sorted(accepted)) if known and accepted and known["md5"] not in accepted else "accepted"

    def class_spec(self, base: str) -> str:
        """Return what makes rows stale that a class of the user's built: its name and its source."""
        entry = self.registry.datasets[base]
        return canonical_json({"class": entry.dataset, "source": entry_class_digest(entry)})

    def is_prepared(self, model: str) -> bool:
        """Tell whether the model's checkpoint is fetched or converted by a job of its own, before any inference."""
        return checkpoints.is_prepared(self.registry.models[model])

    def environment(self, model: str) -> str | None:
        """Return the marker of the environment that the model's jobs run in, None where that is vlmake's own."""
        run_in = self.registry.models[model].run_in
        return markers.marker(find_lock(run_in), self.config.data_dir) if run_in else None

    def remove_broken_environments(self, models: Iterable[str]) -> None:
        """Remove the markers of environments that are gone or half-deleted: the run makes them again where it must."""
        for marker in {self.environment(model) for model in models} - {None}:
            markers.remove_broken(Path(str(marker)))

    def checkpoint_spec(self, model: str) -> str:
        """Return what makes a pinned checkpoint stale: another source, revision, adapter or converter version."""
        entry = self.registry.models[model]
        assert isinstance(entry, CheckpointEntry)  # only such a model is prepared
        return checkpoints.planning_source(entry, self.config.hub)

    def inference_spec(self, model: str, dataset: str) -> str:
        """Return what makes predictions stale: checkpoint, settings, prompt, and a request for fresh ones."""
        base = paths.parse_dataset(dataset).base
        entry = self.registry.datasets[base]
        here = model_spec.benchmark_settings(self.registry.models[model], base, entry)
        content = {
            "model": self._model_spec(model),
            "max_new_tokens": here.max_new_tokens,
            "prompt": prompt_spec(entry, here),
            "renderer": self._renderer(),
            "epoch": epoch_of(Path(paths.journal(model, base)), dataset),
            "max_failures": self.config.max_failures,
            **roundtrip_spec(self.config.image_roundtrip),
        }
        return canonical_json(content)

    def scoring_spec(self, dataset: str) -> str:
        """Return what makes a score stale: task, metric, protocol, and the source of the scorer."""
        if (entry := self.registry.dataset(dataset)).dataset is not None:
            settings = {"dataset": dataset, "class": entry.dataset, "judge": entry.judge}
            source = entry_class_digest(entry)
            return canonical_json(settings | {"source": source, "version": EVALUATION_VERSION})
        return canonical_json(scoring_settings(self.registry, self.config, dataset) | {"source": self._source(dataset)})

    def submission_spec(self, dataset: str) -> str:
        """Return what makes a file to hand in stale: its format and the source of what writes it."""
        entry = self.registry.dataset(dataset)
        name = entry.submission or ""
        source = module_digest(submission_entry(name).module)
        return canonical_json({"dataset": dataset, "task": entry.task, "submission": name, "source": source})

    def parts_spec(self, dataset: str) -> str:
        """Return what makes a stacked score stale: its parts in order, the protocol, the source of what stacks them."""
        source = module_digest("vlmake.scoring.score_parts")
        return canonical_json({"parts": self.parts(dataset), "protocol": self.config.protocol, "source": source})

    def _source(self, dataset: str) -> str:
        return source_digest(self.registry.dataset(dataset).metric or "")


def _read_source(file: Path) -> dict[str, str]:
    """Return what the download step wrote, or nothing when there is no such file or it is damaged."""
    try:
        return {"md5": "", **json.loads(file.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError):
        return {}
