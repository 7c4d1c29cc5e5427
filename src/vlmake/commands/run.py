"""``vlmake run``: check what was asked, let Snakemake do what is missing or stale, show the scores."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import click
import yaml

from vlmake import paths
from vlmake.commands.arguments import Passed, has_option, option_values, split_targets, spread_values, with_config
from vlmake.devices.finding import visible_devices
from vlmake.endpoints.keys import dotenv_values_of
from vlmake.errors import VlmakeError
from vlmake.inference import journal
from vlmake.judges import resolution
from vlmake.registry.judge_entries import AUTO, EXACT
from vlmake.registry.layers import read_yaml
from vlmake.registry.own_benchmarks import known_registry, named_datasets
from vlmake.runs.planning import Plan
from vlmake.runs.run_config import RunConfig, config_files, configured_pairs, load_config
from vlmake.runs.snakemake_child import explain_failure, run_snakemake
from vlmake.runs.snakemake_options import check_options
from vlmake.runs.work_dir import check_folders, hold_work_dir, is_dry_run
from vlmake.store import canonical_json

Pairs = list[tuple[str, str]]

_SCORING = re.compile(r"_(?:score|judged|judgements)\.[^/]*$")
"""How the name ends of a file that belongs to a score."""


class _RunCommand(click.Command):
    """Reads ``--data A B`` as two values, and leaves what it does not know to Snakemake."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = spread_values(args)
        place = words.index("--") if "--" in words else len(words)
        rest = super().parse_args(ctx, words[:place])
        ctx.meta["after_dashes"] = words[place:]
        return rest


@click.command(cls=_RunCommand, context_settings={"ignore_unknown_options": True})
@click.option("--model", "models", multiple=True, metavar="NAME...", help="Models to evaluate (else the configured).")
@click.option(
    "--data", "--dataset", "datasets", multiple=True, metavar="NAME...", help="Datasets (else the configured)."
)
@click.option("--mode", type=click.Choice(["all", "infer"]), default="all", help="infer stops before scoring.")
@click.option("--limit", type=click.IntRange(min=1), help="First rows of each dataset only; NAME@20 says the same.")
@click.option("--work-dir", type=click.Path(path_type=Path), default=Path(), help="Where results/ and data/ lie.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
@click.option("--judge", metavar="NAME", help="Who reads what rules cannot: a judge, own, exact, or auto anew.")
@click.option("--judge-fallback", type=click.Choice(["none", "exact"]), help="exact: rules stand in for a dead judge.")
@click.option("--max-judge-cost", type=click.FloatRange(min=0, min_open=True), help="Money for judges, then stop.")
@click.option("--self-agreement", type=click.FloatRange(0, 1), help="Share of samples a judge is asked about twice.")
@click.option("--fresh", is_flag=True, help="Ask the model again; earlier answers are superseded, never deleted.")
@click.option("--verbose", is_flag=True, help="Show Snakemake's own output.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE OPTIONS] [TARGETS]")
@click.pass_context
def command(
    ctx: click.Context,
    models: tuple[str, ...],
    datasets: tuple[str, ...],
    mode: str,
    limit: int | None,
    work_dir: Path,
    registry: tuple[Path, ...],
    judge: str | None,
    judge_fallback: str | None,
    max_judge_cost: float | None,
    self_agreement: float | None,
    fresh: bool,
    verbose: bool,
    words: tuple[str, ...],
) -> None:
    """Evaluate models on datasets, or make the result files that are named as targets.

    What is there and right is not done again; after any crash the same command goes on. Options that are not listed
    here go to Snakemake (--cores 8, --resources gpu=4, --dry-run, --profile slurm ...).
    """
    passed = split_targets([*words, *ctx.meta["after_dashes"]])
    _refuse_misspelt_options(passed.options)
    check_options(_shipped_profile(passed.options))
    check_folders(work_dir)
    if work_dir.resolve() != Path.cwd():  # jobs work in work_dir, where this folder's .env is not
        os.environ.update(dotenv_values_of(Path.cwd()) | os.environ)
    own = {"judge": judge, "judge_fallback": judge_fallback, "max_judge_cost": max_judge_cost}
    given = {key: value for key, value in (own | {"self_agreement": self_agreement}).items() if value is not None}
    config = _configuration(passed.options, given | ({"limit": limit} if limit else {}))
    folders = [*config.registry, *map(str, registry)]
    named = [*datasets, *named_datasets(passed.targets, config.data_dir), *config.datasets]
    known = known_registry(config, registry, named, work_dir)
    choice = resolution.choose(config.judge, known, work_dir, anew=judge == AUTO)
    plan = Plan(known, config, choice)
    pairs = _pairs(plan, models, datasets, passed.targets, limit)
    results = [file for pair in pairs for file in plan.results(*pair)]  # refuses what cannot be run
    inferred = [(model, part) for model, dataset in pairs for part in plan.parts(dataset) or [dataset]]
    if fresh and not pairs:
        raise VlmakeError("--fresh asks models again: name models and datasets, or their result files")
    plan.check_models(pairs, work_dir, anew=fresh)
    check_folders(work_dir, _folders(inferred, config.data_dir))
    if passed.targets:
        targets = list(passed.targets)
    elif mode == "infer":
        targets = [paths.predictions(*pair) for pair in inferred]
    else:
        targets = results
    made = _made(plan, targets)
    judges = dict.fromkeys(name.judge for name in _scores_of(made) if name.judge)
    for name in judges:
        plan.judge_entry(name, work_dir)  # refuses what cannot be asked
    if not is_dry_run(passed.options):
        with hold_work_dir(work_dir):  # another run here is said now, in one line; Snakemake takes the hold over
            _supersede(work_dir, inferred if fresh else [])
            if judge is not None:  # one that is named is kept for later runs here
                resolution.keep(choice, work_dir)
    elif judge is not None:
        given["judge"] = choice.judge  # a plan keeps nothing, and Snakemake would settle on what is kept
    work_dir.mkdir(parents=True, exist_ok=True)
    lmu_data = paths.lmu_data(config.lmu_data).absolute()
    asked = [plan.registry.models[model].gpus for model, _ in pairs]
    for line in _who_judges(plan, made, named=made == list(passed.targets)):
        print(line, file=sys.stderr, flush=True)
    if is_dry_run(passed.options):
        _preview(plan, pairs, passed.targets, work_dir, scored=mode == "all", fresh=fresh)
    gpus = _gpu_jobs([*asked, *(plan.registry.judges[name].gpus for name in judges)])
    command_line = _command(passed, targets, work_dir, folders, lmu_data, gpus, verbose, given)
    if code := run_snakemake(command_line):
        explain_failure(command_line, [file for file in targets if not (work_dir / file).is_file()])
        ctx.exit(code)
    if not is_dry_run(passed.options):
        shown = _scores_of(targets) if passed.targets else []
        silent = [pair for pair in pairs if pair not in {name[:2] for name in shown}]
        scored = [pair for pair in silent if mode == "all" and plan.is_scored(pair[1])]
        shown += [paths.ScoreName(*pair, plan.judge_of(pair[1])) for pair in scored]
        _show(work_dir, shown, config.data_dir)
        _say_what_else(plan, [pair for pair in pairs if set(plan.results(*pair)) & set(targets)], work_dir)


def _configuration(options: Sequence[str], given: Mapping[str, object]) -> RunConfig:
    """Return the configuration that Snakemake will have: files, ``--configfile``, ``--config``, then ours."""
    files = [Path(word) for word in option_values(options, "--configfile", "--configfiles")]
    overrides: dict[str, object] = {}
    for word in option_values(options, "--config", "-C"):
        key, _, value = word.partition("=")
        overrides[key] = yaml.safe_load(value)
    return load_config(overrides | dict(given), [*config_files(), *files])


def _scores_of(files: Iterable[str]) -> list[paths.ScoreName]:
    """Return the scores that files are or belong to, each once; other files belong to none."""
    scores = (name for file in files if _SCORING.search(file) and (name := paths.parse_target(file)))
    return list(dict.fromkeys(scores))


def _made(plan: Plan, targets: Sequence[str]) -> list[str]:
    """Return the targets, with all results of the configuration where one of them is made of these."""
    files = [word for word in targets if paths.looks_like_target(word, plan.config.data_dir)]
    if len(files) == len(targets) and not {paths.SUMMARY, paths.REPORT} & set(files):
        return list(targets)
    return [*targets, *(file for pair in configured_pairs(plan.config, plan.registry) for file in plan.results(*pair))]


def _who_judges(plan: Plan, files: Sequence[str], *, named: bool) -> Iterator[str]:
    """Yield a line for everybody who judges what is scored; files that were ``named`` say it themselves."""
    choice, scores = plan.choice, _scores_of(files)
    if scores and not named:
        without = dict.fromkeys(name.dataset for name in scores if not name.judge and choice.judge != EXACT)
        yield choice.said() + (f"; by rules alone: {', '.join(without)}" if without else "")
        return
    for judge in dict.fromkeys(name.judge or EXACT for name in scores):
        is_chosen = judge == choice.judge
        yield (choice if is_chosen else resolution.Choice(judge, "so says the file's name")).said()


def _refuse_misspelt_options(options: Sequence[str]) -> None:
    """Raise VlmakeError for a word that is nearly an option of ours, before Snakemake explains all of its own."""
    own = [name for option in command.params for name in option.opts if name.startswith("--")]
    for word in options:
        name = word.split("=", 1)[0]
        close = get_close_matches(name, own, cutoff=0.85) if name.startswith("--") else []
        close.sort(key=lambda option: sorted(option) != sorted(name))  # first of all: the same letters, out of order
        if close:
            raise VlmakeError(f"unknown option '{name}'; did you mean '{close[0]}'?")


def _pairs(
    plan: Plan, models: Sequence[str], datasets: Sequence[str], targets: Sequence[str], limit: int | None
) -> Pairs:
    """Return the (model, dataset) pairs that were asked for; raise VlmakeError for names that are not registered."""
    if targets:
        if models or datasets or limit:
            raise VlmakeError("name either targets or --model/--data/--limit; a target's limit is in it: MME@20")
        plan.check_targets(targets)
        return plan.asked_pairs(targets)
    asked = plan.config.model_copy(
        update={"models": models or plan.config.models, "datasets": datasets or plan.config.datasets}
    )
    pairs = configured_pairs(asked, plan.registry)
    if not pairs:
        raise VlmakeError("nothing to do: name models and datasets with --model and --data, or in config/config.yaml")
    return pairs


def _command(
    passed: Passed,
    targets: Sequence[str],
    work_dir: Path,
    folders: Sequence[str],
    lmu_data: Path,
    gpus: int,
    verbose: bool,
    given: Mapping[str, object],
) -> list[str]:
    """Return the Snakemake command line that makes what was asked for."""
    options = _shipped_profile(passed.options)
    if not has_option(options, "--cores", "-c", "--jobs", "-j", "--executor", "-e", "--profile"):
        options += ["--cores", str(os.cpu_count() or 1)]
    if not has_option(options, "--resources", "--res", "--executor", "-e", "--profile"):
        options += ["--resources", f"gpu={gpus}"]
    if not verbose and _is_quiet(options):
        options += ["--quiet", "all"]
    here = Path.cwd() / "config"
    if work_dir.resolve() != Path.cwd():  # Snakemake works in work_dir, where this folder's configuration is not
        folders = [*([str(here)] if here.is_dir() else []), *folders]
        if (here / "config.yaml").is_file() and not has_option(options, "--configfile", "--configfiles"):
            options += ["--configfile", str(here / "config.yaml")]
    values = [f"lmu_data={canonical_json(str(lmu_data))}"]
    values += [f"{key}={canonical_json(value)}" for key, value in given.items()]
    if folders:
        values.append(f"registry={canonical_json([str(Path(folder).resolve()) for folder in folders])}")
    options = with_config(options, values)
    program = [sys.executable, "-m", "snakemake", "--snakefile", str(paths.product_root() / "Snakefile")]
    return [*program, *_default_profile(options), "--directory", str(work_dir), *options, "--", *targets]


def _gpu_jobs(asked: Sequence[int]) -> int:
    """Return how many GPUs Snakemake may count on: those of this machine, and never fewer than one job wants.

    Without any, jobs that would take a GPU run on the CPU, one at a time.
    """
    return max([1, *asked, len(visible_devices()) if any(asked) else 0])


def _default_profile(options: Sequence[str]) -> list[str]:
    """Return the default profile as options: given as a profile, Snakemake announces it before every run."""
    if has_option(options, "--workflow-profile"):
        return []
    profile = read_yaml(paths.product_root() / "profiles" / "default" / "config.yaml")
    words = [[f"--{key}"] if value is True else [f"--{key}", str(value)] for key, value in profile.items() if value]
    return ["--workflow-profile", "none", *(word for pair in words for word in pair)]


def _is_quiet(options: Sequence[str]) -> bool:
    """Tell whether our own stages say enough: on a cluster, in a plan or on request Snakemake speaks for itself."""
    spoken = ("--quiet", "-q", "--executor", "-e", "--profile")
    return not is_dry_run(options) and not has_option(options, *spoken)


def _shipped_profile(options: Sequence[str]) -> list[str]:
    """Let ``--profile slurm`` mean the profile that comes with vlmake, unless there is a folder of that name."""
    found = list(options)
    for place, word in enumerate(found[:-1]):
        shipped = paths.product_root() / "profiles" / found[place + 1]
        if word == "--profile" and not Path(found[place + 1]).exists() and shipped.is_dir():
            found[place + 1] = str(shipped)
    return found


def _supersede(work_dir: Path, pairs: Pairs) -> None:
    """Start a new epoch for every pair, unless a run for fresh answers was killed before its end."""
    for model, dataset in pairs:
        journal.start_epoch(_journal(work_dir, model, dataset), dataset)


def _folders(pairs: Pairs, data_dir: str) -> list[str]:
    """Return the folders that a run of these pairs writes to."""
    journals = [Path(_journal(Path(), model, dataset)) for model, dataset in pairs]
    samples = [Path(paths.samples(paths.parse_dataset(dataset).base, data_dir)) for _, dataset in pairs]
    return [str(folder) for file in (*journals, *samples) for folder in list(file.parents)[-2::-1]]


def _journal(work_dir: Path, model: str, dataset: str) -> Path:
    return work_dir / paths.journal(model, paths.parse_dataset(dataset).base)


def _preview(plan: Plan, pairs: Pairs, targets: Sequence[str], work_dir: Path, *, scored: bool, fresh: bool) -> None:
    """Print what a run will take, before Snakemake's own plan of it."""
    from vlmake.runs.terminal_preview import print_preview

    print_preview(plan, pairs, targets, work_dir, scored=scored, fresh=fresh)


def _show(work_dir: Path, names: Sequence[paths.ScoreName], data_dir: str) -> None:
    """Bring summary and report up to date with every score that is present, and print the ones asked for."""
    from vlmake.runs.terminal import print_scores

    if _report_is_old(work_dir):
        from vlmake.report.page import write_page
        from vlmake.scoring.summary import write_summary

        write_summary(work_dir / paths.SUMMARY, work_dir)
        write_page(work_dir / paths.REPORT, work_dir, work_dir / data_dir)
    print_scores([name for name in names if (work_dir / paths.score_json(*name)).is_file()], work_dir)


def _say_what_else(plan: Plan, pairs: Pairs, work_dir: Path) -> None:
    """Say of every run that ends in no score what it ends in, and why."""
    for model, dataset in pairs:
        ready = plan.ending(dataset)
        if ready.result != "score":
            print(f"{model} on {dataset}: no score: {ready.reason}", file=sys.stderr)
            for file in plan.results(model, dataset):
                print(f"  {work_dir / file}", file=sys.stderr)


def _report_is_old(work_dir: Path) -> bool:
    """Tell whether a score, or a folder of scores, changed after the summary or the report was written."""
    scores = [work_dir / paths.score_json(*name) for name in paths.present_scores(work_dir)]
    made = [work_dir / paths.SUMMARY, work_dir / paths.REPORT]
    if not scores or not all(file.is_file() for file in made):
        return bool(scores)
    folders = {work_dir / "results", *(score.parent for score in scores)}
    newest = max(file.stat().st_mtime_ns for file in {*scores, *folders})
    return newest > min(file.stat().st_mtime_ns for file in made)
