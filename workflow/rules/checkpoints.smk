MODEL_CACHE = checkpoints.model_cache(RUN.model_cache).absolute()


rule checkpoint:
    """What a model is loaded from, fetched and converted before any inference and pinned for all of it."""
    output:
        checkpoint=paths.checkpoint("{model}", RUN.data_dir),
    retries: 0
    localrule: True
    params:
        spec=lambda w: PLAN.checkpoint_spec(w.model),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/checkpoint.py {REGISTRY_ARGUMENTS:q} --model {wildcards.model:q}"
        " --hub {RUN.hub} --model-cache {MODEL_CACHE:q} --checkpoint {output.checkpoint:q}"


def checkpoint_of(wildcards):
    """The model's pinned checkpoint; nothing where the model is a plain local folder.

    Not `ancient()`: behind such an input, Snakemake overlooks a job's own changed params whenever the input is made
    again. A checkpoint that is the same again costs no more than a look into the journal.
    """
    if not PLAN.is_prepared(wildcards.model):
        return []
    return paths.checkpoint(wildcards.model, RUN.data_dir)
