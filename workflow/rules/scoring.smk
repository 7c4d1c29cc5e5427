rule score:
    """Predictions → answers → the benchmark's table, in every protocol."""
    input:
        samples=samples_of,
        predictions=paths.predictions("{model}", "{dataset}"),
    output:
        judged=paths.judged("{model}", "{dataset}"),
        table=paths.score_csv("{model}", "{dataset}"),
        detail=paths.score_json("{model}", "{dataset}"),
    wildcard_constraints:
        dataset=PLAN.whole_pattern(),
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.scoring_spec(w.dataset),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/score.py {REGISTRY_ARGUMENTS:q} --model {wildcards.model:q}"
        " --spec {params.spec:q} --samples {input.samples:q}" + SCORING


rule score_parts:
    """The scores of a benchmark's parts → one table over all of them."""
    input:
        parts=lambda w: [
            paths.score_json(w.model, part) for part in PLAN.parts(w.dataset)
        ],
    output:
        table=paths.score_csv("{model}", "{dataset}"),
        detail=paths.score_json("{model}", "{dataset}"),
    wildcard_constraints:
        dataset=PLAN.parted_pattern(),
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.parts_spec(w.dataset),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/score_parts.py --dataset {wildcards.dataset:q} --protocol {RUN.protocol}"
        " --table {output.table:q} --detail {output.detail:q} {input.parts:q}"


rule submission:
    """Predictions → the file that the server with the hidden answers wants."""
    input:
        samples=samples_of,
        predictions=paths.predictions("{model}", "{dataset}"),
    output:
        submission=paths.submission("{model}", "{dataset}", "{ending}"),
    wildcard_constraints:
        dataset=PLAN.whole_pattern(),
        ending="[a-z]+",
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.submission_spec(w.dataset),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/submit.py --spec {params.spec:q} --samples {input.samples:q}"
        " --predictions {input.predictions:q} --submission {output.submission:q}"
