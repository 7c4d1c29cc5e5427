rule download:
    """The published TSV, checked; what was found becomes a small file that everything after depends on."""
    output:
        source=paths.source("{base}", RUN.data_dir),
    priority: 10  # data first: a job that has a model loaded then finds more to do
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.source_spec(w.base),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/download.py {REGISTRY_ARGUMENTS:q} --lmu-data {LMU_DATA:q}"
        " --dataset {wildcards.base:q} --source {output.source:q}"


rule decode:
    """TSV → rows and images, once for all models."""
    input:
        source=paths.source("{base}", RUN.data_dir),
    output:
        samples=paths.samples("{base}", RUN.data_dir),
        images=paths.images("{base}", RUN.data_dir),
    wildcard_constraints:
        base=PLAN.tsv_base_pattern(),
    priority: 10  # data first: a job that has a model loaded then finds more to do
    retries: 0
    localrule: True
    shell:
        "{PYTHON:q} {SCRIPTS:q}/decode.py" + DECODING
