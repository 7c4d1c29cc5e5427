rule download:
    """The published TSV, checked; what was found becomes a small file that everything after depends on."""
    output:
        source=paths.source("{base}", RUN.data_dir),
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.source_spec(w.base),
        where=lambda w: PLAN.download_arguments(w.base),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/download.py --dataset {wildcards.base:q} --source {output.source:q} {params.where:q}"


rule decode:
    """TSV → rows and images, once for all models."""
    input:
        source=paths.source("{base}", RUN.data_dir),
    output:
        samples=paths.samples("{base}", RUN.data_dir),
        images=paths.images("{base}", RUN.data_dir),
    retries: 0
    localrule: True
    params:
        tsv=lambda w: str(PLAN.tsv(w.base)),
        image_root=lambda w: str(PLAN.image_root(w.base)),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/decode.py --tsv {params.tsv:q} --source {input.source:q}"
        " --image-root {params.image_root:q} --samples {output.samples:q} --images {output.images:q}"
