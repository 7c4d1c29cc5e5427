rule score:
    """Predictions → answers → the benchmark's table, in every protocol."""
    input:
        samples=samples_of,
        predictions=paths.predictions("{model}", "{dataset}"),
    output:
        judged=paths.judged("{model}", "{dataset}"),
        table=paths.score_csv("{model}", "{dataset}"),
        detail=paths.score_json("{model}", "{dataset}"),
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.scoring_spec(w.dataset),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/score.py --spec {params.spec:q} --samples {input.samples:q}"
        " --predictions {input.predictions:q} --judged {output.judged:q}"
        " --table {output.table:q} --detail {output.detail:q}"
