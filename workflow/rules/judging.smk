# A judge's verdicts on what rules leave open, and the scores that rest on them: beside those of rules alone, under the
# judge's name, so that two judges stand side by side.
# The journal is undeclared, as that of inference is.

# No parameter of the job: another limit makes no verdict stale.
MOST_MONEY = ["--max-cost", str(RUN.max_judge_cost)] if RUN.max_judge_cost else []


rule judge:
    """Predictions → what a judge says of those that rules cannot read, or that have to be graded."""
    input:
        samples=samples_of,
        predictions=paths.predictions("{model}", "{dataset}"),
    output:
        judgements=paths.judgements("{model}", "{dataset}", "{judge}"),
    wildcard_constraints:
        dataset=PLAN.whole_pattern(),
        judge=PLAN.judge_pattern(),
    threads: 1
    resources:
        gpu=lambda w: PLAN.registry.judges[w.judge].gpus,
    params:
        spec=lambda w: PLAN.judge_spec(w.dataset, w.judge),
        journal=lambda w: paths.judge_journal(w.model, base_of(w), w.judge),
        served=lambda w: (
            ["--served-model", CHOICE.served_model]
            if CHOICE.served_model and CHOICE.judge == w.judge
            else []
        ),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/judge.py {REGISTRY_ARGUMENTS:q} --judge {wildcards.judge:q} {params.served:q}"
        " --model {wildcards.model:q} --spec {params.spec:q} --samples {input.samples:q}"
        " --predictions {input.predictions:q} --journal {params.journal:q} --max-failures {RUN.max_failures}"
        " --fallback {RUN.judge_fallback} --self-agreement {RUN.self_agreement} {MOST_MONEY:q} {WORK_AHEAD:q}"
        " --judgements {output.judgements:q}" + ENDED


rule score_judged:
    """Predictions and verdicts → the benchmark's table, in every protocol."""
    input:
        samples=samples_of,
        predictions=paths.predictions("{model}", "{dataset}"),
        judgements=paths.judgements("{model}", "{dataset}", "{judge}"),
    output:
        judged=paths.judged("{model}", "{dataset}", "{judge}"),
        table=paths.score_csv("{model}", "{dataset}", "{judge}"),
        detail=paths.score_json("{model}", "{dataset}", "{judge}"),
    wildcard_constraints:
        dataset=PLAN.whole_pattern(),
        judge=PLAN.judge_pattern(),
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.judged_scoring_spec(w.dataset, w.judge),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/score.py {REGISTRY_ARGUMENTS:q} --model {wildcards.model:q}"
        " --spec {params.spec:q} --samples {input.samples:q} --judgements {input.judgements:q}"
        + SCORING


rule score_judged_parts:
    """The judged scores of a benchmark's parts → one table over all of them."""
    input:
        parts=lambda w: [
            paths.score_json(w.model, part, w.judge) for part in PLAN.parts(w.dataset)
        ],
    output:
        table=paths.score_csv("{model}", "{dataset}", "{judge}"),
        detail=paths.score_json("{model}", "{dataset}", "{judge}"),
    wildcard_constraints:
        dataset=PLAN.parted_pattern(),
        judge=PLAN.judge_pattern(),
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.parts_spec(w.dataset),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/score_parts.py --dataset {wildcards.dataset:q} --protocol {RUN.protocol}"
        " --table {output.table:q} --detail {output.detail:q} {input.parts:q}"
