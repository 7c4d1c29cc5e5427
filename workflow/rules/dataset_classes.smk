# Benchmarks that are a class of the user's: it builds the rows and evaluates the predictions, each time in a process of
# its own. What lies between is the same as for all others.


rule decode_class:
    """TSV → rows, with the messages that the class makes of them, and images, once for all models."""
    input:
        source=paths.source("{base}", RUN.data_dir),
    output:
        samples=paths.samples("{base}", RUN.data_dir),
        images=paths.images("{base}", RUN.data_dir),
    log:
        paths.asked_class_log("{base}", RUN.data_dir),
    wildcard_constraints:
        base=PLAN.class_base_pattern(),
    priority: 10  # data first: a job that has a model loaded then finds more to do
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.class_spec(w.base),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/decode_class.py" + DECODING + " --log {log:q}"


rule score_class:
    """Predictions → the class's own evaluation as the benchmark's table."""
    input:
        predictions=paths.predictions("{model}", "{dataset}"),
    output:
        judged=paths.judged("{model}", "{dataset}"),
        table=paths.score_csv("{model}", "{dataset}"),
        detail=paths.score_json("{model}", "{dataset}"),
    log:
        paths.scored_class_log("{model}", "{dataset}"),
    wildcard_constraints:
        dataset=PLAN.class_pattern(),
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.scoring_spec(w.dataset),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/score_class.py {REGISTRY_ARGUMENTS:q} --lmu-data {LMU_DATA:q} --spec {params.spec:q}"
        " --model {wildcards.model:q} --dataset {wildcards.dataset:q}"
        + SCORING
        + " --log {log:q}"
