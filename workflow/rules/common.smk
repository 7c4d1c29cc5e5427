"""Configuration, registry and the plan that the rules ask. Faults end here, as one line, before any work starts."""

import sys
from pathlib import Path

from vlmake import paths
from vlmake.judges import resolution
from vlmake.judges.fallbacks import verdicts_anew
from vlmake.models import checkpoints
from vlmake.registry import own_benchmarks
from vlmake.errors import VlmakeError
from vlmake.runs.planning import Plan
from vlmake.registry.judge_entries import AUTO
from vlmake.registry.loading import load_registry, registry_folders
from vlmake.runs.run_config import config_files, configured_pairs, load_config
from vlmake.runs.work_dir import hold_work_dir, is_dry_run, only_looks

PYTHON = sys.executable
SCRIPTS = paths.scripts()

try:
    RUN = load_config(config, config_files())
    LMU_DATA = paths.lmu_data(RUN.lmu_data)
    RECOGNISED = Path(paths.recognised(RUN.data_dir))
    REGISTRY_FOLDERS = registry_folders(RUN.registry)
    if workflow.is_main_process:
        ASKED = [
            *RUN.datasets,
            *own_benchmarks.named_datasets(sys.argv[1:], RUN.data_dir),
        ]
        OWN = own_benchmarks.look_up(
            load_registry(REGISTRY_FOLDERS), ASKED, LMU_DATA, RECOGNISED
        )
        for line in OWN.lines:
            print(f"vlmake: {line}", file=sys.stderr)
        REGISTRY = OWN.registry
    else:  # a job's own process finds what the run has written
        REGISTRY = load_registry([*REGISTRY_FOLDERS, RECOGNISED])
    REGISTRY_ARGUMENTS = [
        word
        for folder in (*REGISTRY_FOLDERS, RECOGNISED)
        for word in ("--registry", str(folder))
    ]
    CHOICE = resolution.choose(RUN.judge, REGISTRY, Path.cwd())
    PLAN = Plan(REGISTRY, RUN, CHOICE)
    PLAN.check_targets(sys.argv[1:])
    PAIRS = configured_pairs(RUN, PLAN.registry)
    RESULTS = [file for pair in PAIRS for file in PLAN.results(*pair)]
    if workflow.is_main_process:
        PLAN.check_models(PLAN.asked_pairs(sys.argv[1:]))
    if workflow.is_main_process and not is_dry_run(sys.argv[1:]):
        WORK_DIR_HOLD = hold_work_dir(Path.cwd())
        PLAN.remove_broken_environments(
            model for model, _ in PLAN.asked_pairs(sys.argv[1:])
        )
        own_benchmarks.write(OWN.entries, RECOGNISED)
        if not only_looks(sys.argv[1:]):
            if RUN.judge == AUTO:
                resolution.keep(CHOICE, Path.cwd())
            verdicts_anew(PLAN.asked_scores(sys.argv[1:]), Path.cwd())
except VlmakeError as error:
    print(f"vlmake: {error}", file=sys.stderr)
    sys.exit(1)

# Option lines of the stages that have a second program, for benchmarks that are a class of the user's.
DECODING = (
    " {REGISTRY_ARGUMENTS:q} --lmu-data {LMU_DATA:q}"
    " --dataset {wildcards.base:q} --source {input.source:q}"
    " --samples {output.samples:q} --images {output.images:q}"
)
SCORING = (
    " --predictions {input.predictions:q} --judged {output.judged:q}"
    " --table {output.table:q} --detail {output.detail:q}"
)

# Behind the command of a job that may be ended from outside: what it could not say itself. The names go in between.
ENDED = (
    ' || {{ code=$?; [ $code -le 128 ] || echo "vlmake: {wildcards.model} on {wildcards.dataset}: the job was ended by'
    ' signal $((code - 128))" $([ $code -ne 137 ] || echo "(kill -9: most often for want of memory)") >&2; exit $code; }}'
    ' && {{ [ -e {output[0]:q} ] || {{ echo "vlmake: {wildcards.model} on {wildcards.dataset}: the job ended without its'
    ' result" >&2; exit 1; }}; }}'
)

SCORED = [
    paths.ScoreName(model, dataset, PLAN.judge_of(dataset))
    for model, dataset in PAIRS
    if PLAN.is_scored(dataset)
]
SCORES = [paths.score_csv(*name) for name in SCORED]


wildcard_constraints:
    model=PLAN.model_pattern(),
    dataset=PLAN.dataset_pattern(),
    base=PLAN.base_pattern(),
    shard="[0-9]+",
    shards="[0-9]+",


def base_of(wildcards):
    """The dataset without its row limit: limited and full runs share decoded data and journal."""
    return paths.parse_dataset(wildcards.dataset).base


def samples_of(wildcards):
    return paths.samples(base_of(wildcards), RUN.data_dir)


def images_of(wildcards):
    return paths.images(base_of(wildcards), RUN.data_dir)
